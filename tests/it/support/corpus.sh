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
kind=deb-src
. "$(dirname "$0")/apt.sh"
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
