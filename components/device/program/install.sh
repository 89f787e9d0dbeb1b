# Installs the program itself with its units: run from a file whose sum the first command of a dial has checked.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
# Another root than / only lays out files: nothing of the running system is touched.
ROOT=${EDGE_FLEET_ROOT-}
# Lines that begin with a # do not reach a device.
BANG='#!'
# Nothing is started every five minutes where there are no windows.
HAS_WINDOWS="/bin/grep -qs '^set WINDOWS ' $SETTINGS"

unit_names() { echo edge-fleet-recover.service edge-fleet-maintain.service edge-fleet-maintain.timer edge-fleet-window.service edge-fleet-window.timer; }

# OpenRC has no timers: cron does what the timer does. The folders are those of Alpine and of Debian and its kin.
cron_folder() {
  for folder in /etc/periodic/hourly /etc/cron.hourly; do
    [ ! -d "$ROOT$folder" ] || { echo "$folder" && return; }
  done
}

install_program() {
  t=
  trap '[ "$?" = 0 ] || echo "edge-fleet: ${REASON:-the device program could not be installed - check free space and that /usr is writable}" >&2
    [ -z "$t" ] || rm -f "$t"' EXIT
  [ "$(id -u)" = 0 ] || die "root: not root - log in as root or allow sudo without a password"
  new=$(sha256sum "$0" | cut -d ' ' -f 1)
  umask 022
  mkdir -p "$ROOT${PROGRAM%/*}"
  t=$ROOT${PROGRAM%/*}/.edge-fleet.new.$$
  cp "$0" "$t"
  chmod 755 "$t"
  chown 0:0 "$t"
  sync "$t"
  mv -f "$t" "$ROOT$PROGRAM"
  if on_openrc; then install_scripts; else install_units; fi
  echo "program $new"
}

install_units() {
  mkdir -p "$ROOT$UNITS"
  for unit in $(unit_names); do
    write_system_file 644 "$UNITS/$unit"
  done
  [ -z "$ROOT" ] && [ -d "$SYSTEMD" ] || return 0
  systemctl daemon-reload
  systemctl enable edge-fleet-recover.service >/dev/null 2>&1
  for timer in maintain window; do
    systemctl enable "edge-fleet-$timer.timer" >/dev/null 2>&1
    systemctl start "edge-fleet-$timer.timer"
  done
}

install_scripts() {
  write_system_file 755 "$INIT_SCRIPTS/edge-fleet-recover"
  folder=$(cron_folder)
  if [ -n "$folder" ]; then write_system_file 755 "$folder/edge-fleet-maintain"; fi
  [ -z "$ROOT" ] || return 0
  [ -n "$folder" ] || edit_crontab maintain "$(($(jitter) / 5)) * * * *"
  edit_crontab window "$(($(jitter) / 60))-59/5 * * * * $HAS_WINDOWS &&"
  service_reload
  service_enable edge-fleet-recover >/dev/null
}

# Puts a line for the command $1 into root's crontab in the place of the one that was there before. $2 is what precedes the
# command; empty: only takes that out.
edit_crontab() {
  command -v crontab >/dev/null || return 0
  [ -n "$2" ] || crontab -l 2>/dev/null | grep -qF "$PROGRAM $1" || return 0
  { crontab -l 2>/dev/null | grep -vF "$PROGRAM $1" || :; } >"$VOLATILE/edge-fleet.crontab"
  [ -z "$2" ] || echo "$2 $PROGRAM $1" >>"$VOLATILE/edge-fleet.crontab"
  crontab - <"$VOLATILE/edge-fleet.crontab" || echo "edge-fleet: crontab could not be written: no $1 runs" >&2
  rm -f "$VOLATILE/edge-fleet.crontab"
}

# Up to five minutes, always the same for one machine, so that a fleet does not act in one second.
jitter() { echo $(($({ cat /etc/machine-id 2>/dev/null || echo none; } | cksum | cut -d ' ' -f 1) % 300)); }

# $1 is the mode, $2 the path. The job of cron goes to the background: the hour's other jobs do not wait for it.
write_system_file() {
  t=$ROOT${2%/*}/.edge-fleet.${2##*/}.$$
  mkdir -p "$ROOT${2%/*}"
  system_file "$2" >"$t"
  chmod "$1" "$t"
  mv -f "$t" "$ROOT$2"
}

system_file() {
  case ${1##*/} in
    edge-fleet-recover.service)
      cat <<END
[Unit]
Description=Undo an edge-fleet run that a power cut ended
ConditionPathExists=$JOURNAL
After=local-fs.target
Before=$(list=; for name in $ALL_SERVICES; do list="$list $name.service"; done; echo "${list# }")
[Service]
Type=oneshot
ExecStart=$PROGRAM recover
[Install]
WantedBy=multi-user.target
END
      ;;
    edge-fleet-maintain.service)
      cat <<END
[Unit]
Description=Certificates, backups and disk space of edge-fleet
[Service]
Type=oneshot
Nice=10
IOSchedulingClass=idle
ExecStart=$PROGRAM maintain
END
      ;;
    edge-fleet-maintain.timer)
      cat <<END
[Unit]
Description=Hourly maintenance of edge-fleet
[Timer]
OnBootSec=15min
OnUnitActiveSec=1h
RandomizedDelaySec=5min
[Install]
WantedBy=timers.target
END
      ;;
    edge-fleet-window.service)
      cat <<END
[Unit]
Description=Commits of edge-fleet within maintenance windows alone
[Service]
Type=oneshot
ExecCondition=$HAS_WINDOWS
ExecStart=$PROGRAM window
END
      ;;
    edge-fleet-window.timer)
      cat <<END
[Unit]
Description=Maintenance windows of edge-fleet
[Timer]
OnBootSec=0
OnUnitActiveSec=5min
AccuracySec=1s
[Install]
WantedBy=timers.target
END
      ;;
    edge-fleet-recover)
      cat <<END
$BANG/sbin/openrc-run
description="Undo an edge-fleet run that a power cut ended"

depend() {
  use localmount
  before ${ALL_SERVICES# }
}

start() {
  ! $HAS_WINDOWS || setsid env -i $PROGRAM window </dev/null >/dev/null 2>&1 &
  [ -e $JOURNAL ] || return 0
  ebegin "Recovering an interrupted edge-fleet run"
  env -i $PROGRAM recover
  eend \$?
}
END
      ;;
    edge-fleet-maintain)
      cat <<END
$BANG/bin/sh
{
  sleep $(jitter)
  exec nice -n 10 $PROGRAM maintain
} </dev/null >/dev/null 2>&1 &
END
      ;;
  esac
}
