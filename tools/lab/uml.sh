# Sourced by the tools that boot Linux in user mode: packages, Python libraries, kernel modules.

cannot() { echo "$(basename "$0"): $*" >&2; exit 3; }

# lab_prepare PACKAGE...: installs what is missing, and leaves lab, python and modules set.
lab_prepare() {
  [ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || cannot "user-mode-linux runs on Linux x86_64 only"
  case $PWD in *[[:space:]]*) cannot "the path of the repository holds a blank, which a kernel's command line cannot" ;; esac
  export PATH=$PATH:/usr/sbin:/sbin
  local missing=() package
  for package in user-mode-linux wpan-tools iproute2 kmod python3 python3-venv "$@"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    [ "$(id -u)" = 0 ] || cannot "these Debian packages are missing: ${missing[*]} (install them, or run this as root)"
    echo "Installing ${missing[*]} ..." >&2
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >/dev/null ||
      cannot "apt-get could not install: ${missing[*]}"
  fi
  lab=$PWD/.build-lab
  mkdir -p "$lab"
  if [ ! -x "$lab/venv/bin/python3" ] || ! cmp -s tools/requirements.txt "$lab/venv/requirements.txt"; then
    echo "Installing the devices' Python libraries ..." >&2
    python3 -m venv "$lab/venv" || cannot "python3 -m venv failed"
    "$lab/venv/bin/pip" install --quiet --disable-pip-version-check -r tools/requirements.txt ||
      cannot "pip could not install tools/requirements.txt"
    cp tools/requirements.txt "$lab/venv/requirements.txt"
  fi
  python=$lab/venv/bin/python3
  # modprobe wants its directory to be called lib/modules/VERSION.
  local directory
  for directory in /usr/lib/uml/modules/*/; do release=$(basename "$directory"); done
  [ -d "/usr/lib/uml/modules/$release" ] || cannot "no kernel modules in /usr/lib/uml/modules"
  modules=$lab/modules
  mkdir -p "$modules/lib/modules"
  ln -sfn "/usr/lib/uml/modules/$release" "$modules/lib/modules/$release"
  [ -e "/usr/lib/uml/modules/$release/modules.dep" ] || depmod -b "$modules" "$release"
}

# lab_boot SECONDS MEMORY INIT OUT [WORD...]: boots, shows what the guest says, and fails unless OUT/result says done.
lab_boot() {
  local seconds=$1 memory=$2 init=$3 out=$4
  shift 4
  : >"$out/guest.log"
  tail -n +1 -f "$out/guest.log" >&2 &
  local tail=$!
  timeout --kill-after=10 "$seconds" linux.uml root=/dev/root rootfstype=hostfs rootflags=/ rw mem="$memory" quiet \
    init="$init" con=null con0=fd:0,fd:1 umid="pangate-lab-$$" \
    lab_tools="$PWD/tools/lab" lab_python="$python" lab_modules="$modules" lab_out="$out" "$@" \
    </dev/null >"$out/console.log" 2>&1 || true
  # What the guest wrote last is shown before this goes on.
  sleep 0.2
  kill $tail 2>/dev/null || true
  wait $tail 2>/dev/null || true
  [ "$(cat "$out/result" 2>/dev/null)" = done ]
}
