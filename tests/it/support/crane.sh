#!/bin/sh
# Unpacks crane from Debian packages of a newer suite into a directory: what it validates images with
# is not that of any engine. Tried with Debian 12 and the crane 0.20.7 of forky. Installs nothing and needs no
# root, only apt-get and dpkg. 5 MB to fetch.
#
#   sh tests/it/support/crane.sh target/peers/crane
#
# Running it again on a finished directory does nothing.
set -eu

dir=$1
suite=${2:-forky}
kind=deb
. "$(dirname "$0")/apt.sh"
cd "$dir/packages"
apt download crane
dpkg -x crane_*.deb "$dir/root"
"$dir/root/usr/bin/crane" version
rm -r "$dir/packages" "$dir/apt"
touch "$dir/ready"
