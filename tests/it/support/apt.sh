# For the scripts beside it, which are called with a directory and perhaps a suite: ends them where the
# directory is finished; else makes `apt` one that reads the packages (`deb`) or sources (`deb-src`)
# of $suite and keeps everything in $dir. Needs no root. $kind and $suite are the caller's.

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ -e "$dir/ready" ] && exit 0

# The mirror is the one that the system itself uses.
mirror=$(sed -nE 's/^URIs: *([^ ]+).*/\1/p; s/^deb +(\[[^]]*\] +)?([^ ]+) .*/\2/p' \
  /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | grep -v security | head -n 1)
[ -n "$mirror" ] || { echo "no Debian mirror in the apt sources" >&2; exit 3; }

mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/packages"
echo "$kind [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
  >"$dir/apt/sources.list"
: >"$dir/apt/status"
apt() {
  apt-get -q \
    -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts=- \
    -o Dir::State::Lists="$dir/apt/lists" -o Dir::State::Status="$dir/apt/status" \
    -o Dir::Cache="$dir/apt/cache" -o APT::Sandbox::User=root "$@"
}
apt update
