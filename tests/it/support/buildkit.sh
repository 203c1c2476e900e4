#!/bin/sh
# Unpacks a Docker Engine whose BuildKit honours SOURCE_DATE_EPOCH and rewrite-timestamp, and writes
# the history as the newest do (0.13 leaves out the value of `ARG TARGETPLATFORM`), into a directory
# beside whatever the system has: Debian packages of a newer suite, each program pointed at the C
# library that came with them. Tried with Debian 12 and the engine 28.5.2 of forky. Installs nothing
# and needs no root, only apt-get and dpkg. 85 MB to fetch, 340 MB on disk, 10 seconds. The directory
# cannot be moved afterwards.
#
#   sh tests/it/support/buildkit.sh target/peers/buildkit
#
# Running it again on a finished directory does nothing.
set -eu

dir=$1
suite=${2:-forky}
kind=deb
. "$(dirname "$0")/apt.sh"
mkdir -p "$dir/root"
cd "$dir/packages"
apt download docker.io docker-cli docker-buildx containerd runc tini \
  libc6 libsystemd0 libcap2 libseccomp2
# patchelf is the system's own suite's: 0.18, of the newer one, makes a containerd that crashes.
apt-get -q -o APT::Sandbox::User=root download patchelf
for package in *.deb; do
  dpkg -x "$package" "$dir/root"
done

libraries=$dir/root/usr/lib/$(uname -m)-linux-gnu
loader=$(echo "$libraries"/ld-linux-*.so.*)
for program in sbin/dockerd sbin/runc bin/docker bin/containerd bin/containerd-shim-runc-v2 \
  libexec/docker/cli-plugins/docker-buildx; do
  # An RPATH, unlike a RUNPATH, serves the libraries' own libraries too.
  "$dir/root/usr/bin/patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" \
    "$dir/root/usr/$program"
done
rm -r "$dir/packages" "$dir/apt"
touch "$dir/ready"
