#!/bin/sh
# Makes a Debian without anything but its required packages in a directory, installs the packages of a
# list like peers.txt there, and checks that every program of the list is there and that podman runs
# an image by crun. Needs root, debootstrap and 4 GB on disk. 10 minutes, of which most are for
# fetching.
#
#   sh tests/it/support/empty_root.sh DIR LIST IMAGE-ARCHIVE
#
# Prints each program that is missing, then the output and the status of the image.
set -eu

dir=$1
list=$2
image=$3
suite=${4:-bookworm}
here=$(cd "$(dirname "$0")" && pwd)
mirror=$(sh "$here/mirror.sh")
mkdir -p "$dir"
debootstrap --variant=minbase "$suite" "$dir" "$mirror" >&2
cp "$list" "$dir/peers.txt"
cp "$image" "$dir/image.tar"
cp /etc/resolv.conf "$dir/etc/resolv.conf"
# Packages must not start servers.
printf '#!/bin/sh\nexit 101\n' >"$dir/usr/sbin/policy-rc.d"
chmod 755 "$dir/usr/sbin/policy-rc.d"
cat >"$dir/check.sh" <<'CHECK'
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
export DEBIAN_FRONTEND=noninteractive
lines=$(grep -E '^[a-z/]' /peers.txt | grep -vE ' -$')
apt-get -q update >&2
apt-get -q -y install --no-install-recommends \
  $(echo "$lines" | while read -r _ package; do echo "$package"; done) >&2
echo "$lines" | while read -r program package; do
  case $program in
    /*) [ -e "$program" ] || echo "missing: $program of $package" ;;
    *) command -v "$program" >/dev/null || echo "missing: $program of $package" ;;
  esac
done
# Libraries and headers, too: compilers that only start are of no use.
echo 'int main(void) { return 0; }' | cc -x c - -o /compiled && /compiled
podman="podman --runtime crun --root /store --runroot /runs --storage-driver=vfs"
umount -R /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
id=$($podman pull --quiet docker-archive:/image.tar)
status=0
$podman run --rm --network none --cgroups disabled --ulimit nofile=1024:1024 \
  --ulimit nproc=1024:1024 "$id" || status=$?
echo "status: $status"
CHECK
# The directory becomes the root, as in a container: runtimes cannot work in a chroot.
exec unshare --mount --propagation private sh -c '
set -e
mount --bind "$1" "$1"
mkdir -p "$1/old"
mount -t proc proc "$1/proc"
mount --rbind /sys "$1/sys"
mount --rbind /dev "$1/dev"
cd "$1"
pivot_root . old
umount -l /old
exec sh /check.sh' sh "$dir"
