#!/bin/sh
# Fetches the source packages of elfutils, pyelftools and patchelf, whose tests have ELF files of many
# machines, whole and broken, and unpacks those files. Installs nothing and needs no root, only
# apt-get, tar, xz and python3. 15 MB to fetch, 60 MB on disk.
#
#   sh tests/it/support/corpus.sh target/peers/corpus
#
# Running it again on a finished directory does nothing.
set -eu

dir=$1
suite=${2:-bookworm}
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ -e "$dir/ready" ] && exit 0

# The mirror is the one that the system itself uses.
mirror=$(sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' \
  /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v security | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror in the apt sources" >&2; exit 3; }

mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/packages"
echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
  >"$dir/apt/sources.list"
: >"$dir/apt/status"
apt() {
  apt-get -q \
    -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::State::Lists="$dir/apt/lists" -o Dir::State::Status="$dir/apt/status" \
    -o Dir::Cache="$dir/apt/cache" -o APT::Sandbox::User=root "$@"
}
apt update
cd "$dir/packages"
apt source --download-only elfutils patchelf
# Its package has no tests in every suite; the Python index has them.
python3 -m pip download -q --disable-pip-version-check --no-deps --no-binary :all: pyelftools==0.32
mv pyelftools-0.32.tar.gz pyelftools_0.32.orig.tar.gz
for archive in *.orig.tar.gz *.orig.tar.bz2 *.orig.tar.xz; do
  [ -e "$archive" ] || continue
  mkdir -p "$dir/files/${archive%%_*}"
  tar -xf "$archive" -C "$dir/files/${archive%%_*}"
done
# elfutils keeps its files compressed.
python3 - "$dir/files" <<'PYTHON'
import bz2, os, sys

for root, _, names in os.walk(sys.argv[1]):
    for name in names:
        path = os.path.join(root, name)
        if name.endswith(".bz2") and not name.endswith(".tar.bz2"):
            with open(path, "rb") as packed, open(path[:-4], "wb") as out:
                out.write(bz2.decompress(packed.read()))
PYTHON
rm -r "$dir/packages" "$dir/apt"
touch "$dir/ready"
