#!/bin/sh
# A small CNI plugin for tests: a veth pair with routed addresses out of 10.250.0.0/16 and fd00:250::/64. $0.log keeps what it was asked.
set -e
config=$(cat)
state=$(dirname "$0")
printf '%s %s %s %s\n' "$CNI_COMMAND" "$CNI_IFNAME" "$CNI_ARGS" "$config" >>"$state/requests.log"
host="v$(printf %.10s "$CNI_CONTAINERID")"
name=$(basename "$CNI_NETNS")
case $CNI_COMMAND in
ADD)
  if [ -e "$state/fail" ]; then
    printf '{"cniVersion":"1.0.0","code":100,"msg":"told to fail"}'
    exit 1
  fi
  number=1
  while ! mkdir "$state/address-$number" 2>/dev/null; do number=$((number + 1)); done
  printf %s "$CNI_CONTAINERID" >"$state/address-$number/owner"
  ip link add "$host" type veth peer name "$CNI_IFNAME" netns "$CNI_NETNS"
  ip -batch - <<BATCH
link set $host up
addr add 10.250.255.254/32 dev $host
route add 10.250.0.$number/32 dev $host
addr add fd00:250::ffff/128 dev $host nodad
route add fd00:250::$number/128 dev $host
BATCH
  ip -n "$name" -batch - <<BATCH
addr add 10.250.0.$number/32 dev $CNI_IFNAME
addr add fd00:250::$number/128 dev $CNI_IFNAME nodad
link set $CNI_IFNAME up
route add 10.250.255.254/32 dev $CNI_IFNAME
route add default via 10.250.255.254
route add fd00:250::ffff/128 dev $CNI_IFNAME
route add default via fd00:250::ffff
BATCH
  printf '{"cniVersion":"1.0.0","interfaces":[{"name":"%s"},{"name":"%s","sandbox":"%s"}],"ips":[{"interface":1,"address":"10.250.0.%s/32"},{"interface":1,"address":"fd00:250::%s/128"}]}' \
    "$host" "$CNI_IFNAME" "$CNI_NETNS" "$number" "$number"
  ;;
DEL)
  ip link del "$host" 2>/dev/null || :
  for owner in "$state"/address-*/owner; do
    if [ -e "$owner" ] && [ "$(cat "$owner")" = "$CNI_CONTAINERID" ]; then rm -r "$(dirname "$owner")"; fi
  done
  ;;
esac
