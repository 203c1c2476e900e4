# For the scripts beside it, which are called with a directory and perhaps a suite: ends them where the
# directory is finished; else makes `apt` one that reads the packages (`deb`) or sources (`deb-src`)
# of $suite and keeps everything in $dir. Needs no root. $kind and $suite are the caller's.

mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
[ -e "$dir/ready" ] && exit 0

mirror=$(sh "$(dirname "$0")/mirror.sh")

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
