#!/bin/bash
# Runs as init of the user-mode kernel for tools/wpan-lab secure-home: radios, then secure_home.py.
# shellcheck source=tools/lab/boot.sh
. "${0%/*}/boot.sh"
lab_radios 7
lab_listen
"$lab_python" "$lab_tools/secure_home.py" run "$lab_pangate" "$lab_out/group" && echo done >"$lab_out/result"
