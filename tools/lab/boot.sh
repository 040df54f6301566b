# Sourced by what runs as init of a user-mode kernel: file systems, the words of the command line, a log, and an end.
# From the command line: lab_tools, lab_python, lab_modules, lab_out, and what each init says.
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

# lab_radios COUNT [MODULE...]: COUNT simulated radios that hear each other, and 6LoWPAN over them.
lab_radios() {
  local radios=$1 module
  shift
  for module in ipv6 "fakelb numlbs=$radios" ieee802154_6lowpan nhc_udp "$@"; do
    # shellcheck disable=SC2086
    modprobe -d "$lab_modules" $module
  done
  ip link set lo up
}

# lab_listen: wpan0 is up, and the air is recorded, for whoever wants to know why something failed; it ends with the machine.
lab_listen() {
  ip link set wpan0 up
  tcpdump -i wpan0 -Z root -U --immediate-mode -s 256 -w "$lab_out/live.pcap" 2>"$lab_out/tcpdump.log" &
}
