#!/bin/sh
# Fetches what says whether bills of materials are ones: the JSON schema of SPDX 2.3, as the crate
# serde-spdx has it, the Python packages cyclonedx-python-lib (with CycloneDX's schemas) and
# spdx-tools, and rust-audit-info, which reads the list in a binary. Needs cargo and pip.
#
#   sh tests/it/support/bom.sh target/peers/bom
#
# Running it again on a finished directory does nothing.
set -eu

dir=$1
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ -e "$dir/done" ] && exit 0
rm -rf "$dir/fetch" "$dir/python"
mkdir "$dir/fetch"
cd "$dir/fetch"
cat >Cargo.toml <<'TOML'
[package]
name = "fetch"
version = "0.0.0"
edition = "2024"
[lib]
path = "lib.rs"
[dependencies]
serde-spdx = "=0.10.0"
[workspace]
TOML
: >lib.rs
"${CARGO:-cargo}" vendor --quiet vendor >/dev/null
mv vendor/serde-spdx/schemas/spdx_2_3.json "$dir/spdx.json"
"${CARGO:-cargo}" install --quiet --locked --root "$dir" --target-dir "$dir/fetch/target" \
    --version 0.5.4 rust-audit-info
python3 -m pip install --quiet --disable-pip-version-check --target "$dir/python" \
    'cyclonedx-python-lib[json-validation]==11.12.0' spdx-tools==0.8.5
cd "$dir"
rm -r "$dir/fetch"
: >"$dir/done"
