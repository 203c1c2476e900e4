#!/bin/sh
# Unpacks cosign from Debian packages of a newer suite into a directory. Tried with Debian 12, the
# cosign 2.5 of trixie and the 3.1 of forky, which do not have the same command line. Installs nothing
# and needs no root, only apt-get and dpkg. 15 MB to fetch for each.
#
#   sh tests/it/support/cosign.sh target/peers/cosign2 trixie
#   sh tests/it/support/cosign.sh target/peers/cosign3 forky
#
# Running it again on a finished directory does nothing.
set -eu

dir=$1
suite=${2:-forky}
kind=deb
. "$(dirname "$0")/apt.sh"
cd "$dir/packages"
apt download cosign
dpkg -x cosign_*.deb "$dir/root"
"$dir/root/usr/bin/cosign" version >/dev/null
rm -r "$dir/packages" "$dir/apt"
touch "$dir/ready"
