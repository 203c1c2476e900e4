#!/bin/sh
# Fetches the judges of wheels: the Python packages pypiserver (an index server), twine and check-wheel-contents
# (checks of files for an index), packaging (the comparison of versions), uv (an installer), and virtualenv
# (environments with pip). Needs pip.
#
#   sh tests/it/support/python-index.sh target/peers/python-index
#
# Running it again on a finished directory does nothing.
set -eu

dir=$1
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ -e "$dir/done" ] && exit 0
rm -rf "$dir/python"
python3 -m pip install --quiet --disable-pip-version-check --target "$dir/python" \
    pypiserver==2.4.2 twine==6.2.0 check-wheel-contents==0.6.3 packaging==26.0 uv==0.9.30 \
    virtualenv==20.36.1
: >"$dir/done"
