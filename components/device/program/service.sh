# The one place that talks to the init system: services, kernel settings, what outlives its caller. Services are named
# without suffix; those of OpenRC run under its supervise-daemon.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
INIT_SCRIPTS=/etc/init.d
SYSCTLS=/etc/sysctl.d/90-edge-fleet.conf
SERVICE_LOG_BYTES=10485760
STOP_SECONDS=90
LOG_FROM=0

service_exists() { [ -e "$UNITS/$1.service" ] || [ -e "$INIT_SCRIPTS/$1" ]; }

# After a change of service files.
service_reload() {
  if on_openrc; then rc-update -u >/dev/null 2>&1 || :; else systemctl daemon-reload; fi
}

service_enable() {
  if on_openrc; then rc-update -q add "$1" default; else systemctl enable "$1"; fi
}

service_disable() {
  if on_openrc; then openrc_disable "$1"; else systemctl disable "$1"; fi
}

# Does not wait until the service is ready. `systemctl restart` of a Type=notify unit blocks until it is, without limit:
# https://github.com/k3s-io/k3s/issues/1356
service_restart() {
  note_log "$1"
  if on_openrc; then openrc_restart "$1"; else systemctl restart --no-block "$1"; fi
}

# From where on a service's log is of its present start: bytes of OpenRC's file, seconds of systemd's journal.
note_log() {
  if on_openrc; then LOG_FROM=$(wc -c 2>/dev/null <"${LOG%/*/*}/$1.log") || LOG_FROM=0; else LOG_FROM=$(now); fi
}

# What a service has logged since `service_restart`. A file that was cut meanwhile is shorter, and read whole.
service_log() {
  if on_openrc; then
    log=${LOG%/*/*}/$1.log
    [ "$(wc -c <"$log")" -ge "$LOG_FROM" ] || LOG_FROM=0
    tail -c "+$((LOG_FROM + 1))" "$log"
  else
    journalctl -q -u "$1" -o cat --no-pager -n 2000 --since "@$LOG_FROM"
  fi 2>/dev/null || :
}

service_stop() {
  if on_openrc; then openrc_stop "$1"; else systemctl stop "$1"; fi
}

# Process id of the service itself; 0 where it does not run.
service_main_pid() {
  if on_openrc; then openrc_main_pid "$1"; else systemctl show -p MainPID --value "$1"; fi
}

# Ends a service that another one replaces. A unit says so itself (Conflicts=); a script may be gone already.
service_retire() {
  on_openrc || return 0
  openrc_disable "$1"
  openrc_end "$1"
}

# Takes the last traces of services out of the system; their units go with the distribution's other files.
forget_services() {
  for name; do
    openrc_disable "$name"
    rm -f "$INIT_SCRIPTS/$name" "${LOG%/*/*}/$name.log"
  done
  service_reload
}

# The last-resort default route outlives the unit or the script that has set it.
end_route() {
  on_openrc || systemctl stop edge-fleet-route.service 2>/dev/null || :
  case $(ip -o address show dev dummy0 2>/dev/null) in *203.0.113.254/31*) ip link delete dummy0 || : ;; esac
}

apply_sysctls() {
  if ! on_openrc; then systemctl restart systemd-sysctl.service; elif [ -f "$SYSCTLS" ]; then sysctl -q -p "$SYSCTLS"; fi ||
    echo "sysctl settings were not all accepted"
}

# Has a file that changed read by what is not restarted with the cluster: journald knows its bounds from its start.
reread() {
  case $1 in
    */journald.conf.d/*) on_openrc || systemctl restart systemd-journald.service || echo "journald could not be restarted: $1 holds from the next boot on" ;;
  esac
}

# systemd's journal bounds itself. supervise-daemon appends to its log, so it can be cut while it is written.
bound_logs() {
  on_openrc || return 0
  for name in $ALL_SERVICES; do
    log=${LOG%/*/*}/$name.log
    if [ -f "$log" ] && [ "$(wc -c <"$log")" -gt "$SERVICE_LOG_BYTES" ]; then
      tail -c $((SERVICE_LOG_BYTES / 5)) "$log" >"$log.new"
      cat "$log.new" >"$log"
      rm -f "$log.new"
    fi
  done
}

with_systemd_run() { ! on_openrc && command -v systemd-run >/dev/null; }

# Starts a command that does not end with this one. $1 is a name for it.
start_detached() {
  if with_systemd_run; then
    name=$1
    shift
    systemd-run --unit="$name" --collect --quiet "$@"
  else
    shift
    setsid "$@" &
  fi </dev/null >>"$LOG" 2>&1
}

# Starts a command after $2 seconds. $1 is a name for the timer, $3 a file for the process that waits where there is no
# systemd.
start_later() {
  if with_systemd_run; then
    name=$1 seconds=$2
    shift 3
    systemd-run --unit="$name" --collect --quiet --on-active="$seconds" --timer-property=AccuracySec=1s "$@"
  else
    shift
    setsid sh -c "echo \$\$ >\"\$1\"; sleep \"\$0\"; rm -f \"\$1\"; shift; exec \"\$@\"" "$@" &
  fi </dev/null
}

# Takes back `start_later`. $1 and $2 are its name and its file.
cancel_later() {
  if with_systemd_run; then
    systemctl stop "$1.timer" 2>/dev/null || :
  elif [ -f "$2" ]; then
    kill_group "$(cat "$2")"
    rm -f "$2"
  fi
}
