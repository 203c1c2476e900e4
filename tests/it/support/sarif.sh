#!/bin/sh
# Fetches the JSON schema of SARIF 2.1.0, as the crate serde-sarif has it. Needs cargo.
#
#   sh tests/it/support/sarif.sh target/peers/sarif
#
# Running it again on a finished directory does nothing.
set -eu

dir=$1
mkdir -p "$dir/fetch"
dir=$(cd "$dir" && pwd)
[ -e "$dir/schema.json" ] && exit 0
cd "$dir/fetch"
cat >Cargo.toml <<'TOML'
[package]
name = "fetch"
version = "0.0.0"
edition = "2024"
[lib]
path = "lib.rs"
[dependencies]
serde-sarif = "=0.8.0"
[workspace]
TOML
: >lib.rs
"${CARGO:-cargo}" vendor --quiet vendor >/dev/null
mv vendor/serde-sarif/src/schema.json "$dir/schema.json"
rm -r "$dir/fetch"
