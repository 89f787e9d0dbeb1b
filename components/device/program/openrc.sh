# Services under OpenRC's supervise-daemon. Its pidfile holds the supervisor; the daemon is the supervisor's child, which
# OpenRC knows as `child_pid`. https://github.com/OpenRC/openrc/blob/master/supervise-daemon-guide.md
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
RC_OPTIONS=$VOLATILE/openrc/options
RUNLEVELS=/etc/runlevels

# `rc-update delete` needs the script, which may be gone.
openrc_disable() { rm -f "$RUNLEVELS"/*/"$1"; }

# The supervisor's process id in SUPERVISOR. A pidfile outlives its process, and its number may be another one's by now.
openrc_supervisor() {
  SUPERVISOR=
  read -r SUPERVISOR 2>/dev/null <"$VOLATILE/$1.pid" || return 1
  case $(tr '\0' ' ' 2>/dev/null <"$PROC/${SUPERVISOR:-none}/cmdline") in *"supervise-daemon $1 "*) ;; *) return 1 ;; esac
}

# Whether process $2 was started for the service: what OpenRC starts has its service's name in its environment.
openrc_started() { tr '\0' '\n' 2>/dev/null <"$PROC/$2/environ" | grep -qx "RC_SVCNAME=$1"; }

# The recorded child in CHILD, where it still is a process of the service. OpenRC ends the file without a newline.
openrc_child() {
  CHILD=
  if { read -r CHILD 2>/dev/null <"$RC_OPTIONS/$1/child_pid" || [ -n "$CHILD" ]; } && openrc_started "$1" "$CHILD"; then return; fi
  CHILD=
  return 1
}

# Only a child of the supervisor that runs now: between a crash and the next try there is none.
openrc_main_pid() {
  if openrc_supervisor "$1" && openrc_child "$1"; then
    read -r line 2>/dev/null <"$PROC/$CHILD/stat" || line=
    case ${line##*) ? } in "$SUPERVISOR "*) echo "$CHILD" && return ;; esac
  fi
  echo 0
}

# In a session of its own: supervise-daemon makes none, and would be killed with the run that started it.
openrc_call() { setsid rc-service "$1" "$2" </dev/null; }

# A daemon that has lost its supervisor is not stopped by OpenRC, and would hold the ports against its successor.
openrc_stop() {
  openrc_child "$1" || :
  left=$CHILD
  openrc_patiently "$1" stop || return 1
  openrc_kill "$1" "$left"
}

openrc_kill() { [ -z "$2" ] || ! openrc_started "$1" "$2" || kill -9 "$2"; }

openrc_restart() {
  openrc_stop "$1" || echo "$1 could not be stopped"
  openrc_patiently "$1" start
}

# OpenRC refuses a command for a service that it is just starting or stopping, as at boot. Status 4: stopping, 8: starting.
openrc_patiently() {
  end=$(($(tick) + STOP_SECONDS))
  until openrc_call "$1" "$2"; do
    status=0
    rc-service "$1" status >/dev/null 2>&1 || status=$?
    case $status in 4 | 8) ;; *) return 1 ;; esac
    [ "$(tick)" -lt "$end" ] || return 1
    sleep "$POLL"
  done
}

# Ends a service without its script.
openrc_end() {
  openrc_child "$1" || :
  if openrc_supervisor "$1"; then
    kill "$SUPERVISOR" 2>/dev/null || :
    end=$(($(tick) + STOP_SECONDS))
    while openrc_supervisor "$1" && [ "$(tick)" -lt "$end" ]; do sleep "$POLL"; done
  fi
  openrc_kill "$1" "$CHILD"
}
