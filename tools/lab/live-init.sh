#!/bin/bash
# Runs as init of the user-mode kernel for tools/wpan-lab: radios, name spaces, then live.py.
# shellcheck source=tools/lab/boot.sh
. "${0%/*}/boot.sh"
export LAB_LIVE_NODES=$lab_nodes LAB_IDENTITIES=$lab_out/identities
lab_radios $((lab_nodes + 3))
lab_listen
"$lab_python" "$lab_tools/live.py" "$lab_pangate" "$lab_out" "${lab_scenarios//,/ }" && echo done >"$lab_out/result"
