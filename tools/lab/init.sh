#!/bin/bash
# Runs as init of the user-mode kernel, with the host's files as root: the radios, the name spaces, tcpdump, the scenario.
# From the kernel's command line: lab_tools, lab_python, lab_modules, lab_out.
# shellcheck source=tools/lab/boot.sh
. "${0%/*}/boot.sh"
lab() { "$lab_python" "$lab_tools/$@"; }
table() { lab table.py "$@"; }

lab_radios 7 sch_netem

# number, name, EUI-64 with colons, short address, PAN id: wpan0 is the gateway's radio.
table >/run/table
while read -r number name eui short pan; do
  if [ "$number" != 0 ]; then
    ip netns add "$name"
    phy=$(iwpan dev | awk -v want="wpan$number" '/^phy#/ {sub("#", "", $1); phy = $1} $2 == want {print phy}')
    iwpan phy "$phy" set netns name "$name"
    in_node() { ip netns exec "$name" "$@"; }
  else
    in_node() { "$@"; }
  fi
  in_node ip link set "wpan$number" address "$eui"
  in_node iwpan dev "wpan$number" set pan_id "$pan"
  [ "$short" = 0xffff ] || in_node iwpan dev "wpan$number" set short_addr "$short"
done </run/table

echo "radios are set up"
ip link set wpan0 up
: >"$lab_out/tcpdump.log"
tcpdump -i wpan0 -Z root -U --immediate-mode -s 256 -B 8192 -w /run/home.pcap 2>"$lab_out/tcpdump.log" &
tcpdump=$!
until grep -q 'listening on' "$lab_out/tcpdump.log"; do
  kill -0 $tcpdump
  sleep 0.05
done

echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
settled() { # interface: every address is past duplicate address detection, and there are $2 of them at least
  local addresses
  addresses=$(ip -6 -o addr show dev "$1")
  [ "$(grep -c . <<<"$addresses")" -ge "$2" ] && ! grep -q tentative <<<"$addresses"
}
while read -r number name eui short pan; do
  if [ "$number" = 0 ]; then
    ip link add link wpan0 name lowpan0 type lowpan
    ip link set lowpan0 up
    # shellcheck disable=SC2046
    ip -6 addr add $(table gateway-address) dev lowpan0 noprefixroute
    # shellcheck disable=SC2046
    ip -6 route add $(table prefix) dev lowpan0
    until settled lowpan0 2; do sleep 0.1; done
    lab advertise.py lowpan0 &
  else
    ip netns exec "$name" ip link set lo up
    ip netns exec "$name" ip link set "wpan$number" up
    ip netns exec "$name" ip link add link "wpan$number" name "lowpan$number" type lowpan
    ip netns exec "$name" ip link set "lowpan$number" up
  fi
done </run/table
while read -r number name _; do
  [ "$number" = 0 ] && continue
  export -f settled
  until ip netns exec "$name" bash -c "settled lowpan$number 2"; do sleep 0.1; done
  echo "$name: $(ip netns exec "$name" ip -6 -o addr show dev "lowpan$number" | awk '{print $4}' | tr '\n' ' ')"
done </run/table

lab scenario.py "$lab_out"
sleep 1 # what is still on its way to tcpdump; expect.py checks that nothing is missing
kill -INT $tcpdump
wait $tcpdump || true
cp /run/home.pcap "$lab_out/"
echo done >"$lab_out/result"
