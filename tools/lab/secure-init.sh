#!/bin/bash
# Runs as init of the user-mode kernel for tools/wpan-lab secure-home: radios, then secure_home.py.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
mount -t proc proc /proc
for word in $(cat /proc/cmdline); do
  case $word in lab_*=*) declare "$word" ;; esac
done
exec >"$lab_out/guest.log" 2>&1
echo failed >"$lab_out/result"
# Whatever goes wrong, the machine is switched off; the caller reads the result.
trap 'poweroff -d -f' EXIT
set -euo pipefail

mount -t sysfs sys /sys
mount -t tmpfs run /run
export HOME=/run PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 LANG=C.UTF-8
for module in ipv6 "fakelb numlbs=7" ieee802154_6lowpan nhc_udp; do
  # shellcheck disable=SC2086
  modprobe -d "$lab_modules" $module
done
ip link set lo up
ip link set wpan0 up
# The air, for whoever wants to know why something failed; it ends with the machine.
tcpdump -i wpan0 -Z root -U --immediate-mode -s 256 -w "$lab_out/live.pcap" 2>"$lab_out/tcpdump.log" &
"$lab_python" "$lab_tools/secure_home.py" run "$lab_pangate" "$lab_out/group" && echo done >"$lab_out/result"
