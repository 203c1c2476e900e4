# Pushes to a registry at 10.9.8.7, in a network namespace of its own, while the proxy is dead.
# usage: noproxy.sh LONGSHORE DOCKER-REGISTRY LAYOUT; prints a status and an exception in each line
set -eu
longshore=$1 registry=$2 layout=$3 host=10.9.8.7:5000
ip link set lo up
ip addr add 10.9.8.7/32 dev lo
cat >registry.yml <<END
version: 0.1
storage: {filesystem: {rootdirectory: $PWD/data}}
http: {addr: "10.9.8.7:5000"}
END
mkfifo log
"$registry" serve registry.yml >/dev/null 2>log &
server=$!
trap 'kill $server' EXIT
# The log is read to its end, so that the server never waits for room in the pipe.
exec 3<log
while read -r line <&3; do
  case $line in *"listening on"*) break ;; esac
done
cat <&3 >/dev/null &
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY all_proxy no_proxy
dead=http://127.0.0.1:1
push() {
  status=0
  env "$@" "$longshore" push $host/x:1 --from "$layout" --insecure $host >&2 || status=$?
}
for list in 10.9.8.7 'localhost, 10.9.8.7' 'localhost,10.9.8.7 ' 10.0.0.0/8 10.9.8.7:5000 \
  10.9.8.7:5001 11.0.0.0/8 ''; do
  push HTTP_PROXY=$dead HTTPS_PROXY=$dead NO_PROXY="$list"
  echo "$status $list"
done
push HTTPS_PROXY=$dead NO_PROXY=
echo "$status HTTPS_PROXY"
push HTTP_PROXY=$dead NO_PROXY=10.9.8.0/24
echo "$status HTTP_PROXY"
