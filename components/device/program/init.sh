# Which init a machine has, and what the preflight needs of it: also on a machine that has no device program yet.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317,SC2329
: "${INIT=}"
# Names of the distributions, each from a file of its own.
ALL_DISTRIBUTIONS=''

# A hook of the distribution that not every distribution has.
optional() { ! command -v "$1" >/dev/null || "$@"; }

# In INIT_SYSTEM: systemd, openrc or none. Each is told by what its boot leaves in /run; where nothing is left, by the
# program of OpenRC alone.
detect_init() {
  INIT_SYSTEM=none
  if [ -d "$SYSTEMD" ]; then INIT_SYSTEM=systemd; elif [ -e "$RUNTIME/openrc" ] || [ -e "$MACHINE_ROOT/sbin/openrc-run" ]; then INIT_SYSTEM=openrc; fi
}

on_openrc() {
  detect_init
  [ "$INIT_SYSTEM" = openrc ]
}

# Whether a process belongs to one of the services $2 (a regular expression): by its cgroup, which OpenRC calls `k3s` or
# `openrc.k3s` where it makes one at all, else by the supervise-daemon from which it descends.
belongs_to() {
  grep -Eqs "/(openrc\.)?($2)(\.service)?\$" "$PROC/$1/cgroup" && return
  up=$1
  while :; do
    slurp "$PROC/$up/stat"
    up=${LINE##*) ? }
    up=${up%% *}
    case $up in '' | *[!0-9]* | 0 | 1) return 1 ;; esac
    ! tr '\0' ' ' 2>/dev/null <"$PROC/$up/cmdline" | grep -Eqs "supervise-daemon ($2) " || return 0
  done
}
