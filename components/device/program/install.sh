# Installs the program itself with its units: from the controller's bootstrap, which runs it from a file whose sum it has
# checked, or from the program that is to be replaced.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
# Another root than / only lays out files: nothing of the running system is touched.
ROOT=${EDGE_FLEET_ROOT-}
SUDOERS=/etc/sudoers.d/edge-fleet
# Lines that begin with a # do not reach a device.
BANG='#!'

unit_names() { echo edge-fleet-recover.service edge-fleet-maintain.service edge-fleet-maintain.timer; }

# OpenRC has no timers: cron does what the timer does. The folders are those of Alpine and of Debian and its kin.
cron_folder() {
  for folder in /etc/periodic/hourly /etc/cron.hourly; do
    [ ! -d "$ROOT$folder" ] || { echo "$folder" && return; }
  done
}

# $1 is the SSH user that runs the program through sudo; root needs no rule.
install_program() {
  t=
  trap '[ "$?" = 0 ] || echo "edge-fleet: ${REASON:-the device program could not be installed - check free space and that /usr is writable}" >&2
    [ -z "$t" ] || rm -f "$t"' EXIT
  [ "$(id -u)" = 0 ] || die "root: not root - log in as root or allow sudo without a password"
  user=${1:-root}
  new=$(sha256sum "$0" | cut -d ' ' -f 1)
  old=$(sha256sum "$ROOT$PROGRAM" 2>/dev/null | cut -d ' ' -f 1) || old=
  [ -z "$old" ] || [ "$old" = "$new" ] || allow "$user" "$old" "$new"
  umask 022
  mkdir -p "$ROOT${PROGRAM%/*}"
  t=$ROOT${PROGRAM%/*}/.edge-fleet.new.$$
  cp "$0" "$t"
  chmod 755 "$t"
  chown 0:0 "$t"
  sync "$t"
  mv -f "$t" "$ROOT$PROGRAM"
  allow "$user" "$new"
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
  systemctl enable edge-fleet-maintain.timer >/dev/null 2>&1
  systemctl start edge-fleet-maintain.timer
}

install_scripts() {
  write_system_file 755 "$INIT_SCRIPTS/edge-fleet-recover"
  folder=$(cron_folder)
  if [ -n "$folder" ]; then write_system_file 755 "$folder/edge-fleet-maintain"; fi
  [ -z "$ROOT" ] || return 0
  [ -n "$folder" ] || edit_crontab "$(($(jitter) / 5)) * * * * $PROGRAM maintain"
  service_reload
  service_enable edge-fleet-recover >/dev/null
}

# Puts a line into root's crontab in the place of the one that was there before; empty: only takes that out.
edit_crontab() {
  command -v crontab >/dev/null || return 0
  { crontab -l 2>/dev/null | grep -vF "$PROGRAM maintain" || :; } >"$VOLATILE/edge-fleet.crontab"
  [ -z "$1" ] || echo "$1" >>"$VOLATILE/edge-fleet.crontab"
  crontab - <"$VOLATILE/edge-fleet.crontab" || echo "edge-fleet: crontab could not be written: no maintenance runs" >&2
  rm -f "$VOLATILE/edge-fleet.crontab"
}

# Up to five minutes, always the same for one machine, so that a fleet does not act in one second.
jitter() { echo $(($({ cat /etc/machine-id 2>/dev/null || echo none; } | cksum | cut -d ' ' -f 1) % 300)); }

# One rule, for exactly this program by its sum; while it is replaced, for both. https://www.sudo.ws/docs/man/sudoers.man/
allow() {
  [ "$1" != root ] && [ -d "$ROOT${SUDOERS%/*}" ] || return 0
  case $1 in *[!A-Za-z0-9._-]* | [!a-z_]*) die "sudo: $1 is not a user name that sudoers takes - use another ssh.user" ;; esac
  user=$1
  t=$ROOT${SUDOERS%/*}/.edge-fleet.$$
  shift
  for digest; do
    echo "$user ALL=(root) NOPASSWD: sha256:$digest $PROGRAM"
  done >"$t"
  chmod 440 "$t"
  if command -v visudo >/dev/null && ! visudo -cqf "$t" >/dev/null 2>&1; then
    rm -f "$t"
    die "sudo: visudo refuses the rule for $user - update sudo to 1.8.7 or later"
  fi
  mv -f "$t" "$ROOT$SUDOERS"
}

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
Before=k3s.service k3s-agent.service k0scontroller.service
Before=snap.microk8s.daemon-containerd.service snap.microk8s.daemon-k8s-dqlite.service snap.microk8s.daemon-kubelite.service
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
    edge-fleet-recover)
      cat <<END
$BANG/sbin/openrc-run
description="Undo an edge-fleet run that a power cut ended"

depend() {
  use localmount
  before k3s k3s-agent k0scontroller
}

start() {
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

# Replaces this program by the one on stdin, gzip and base64, whose sum is $1: for users whose only right is this program.
upgrade() {
  check_digest "${1-}"
  t=$(mktemp "$VOLATILE/edge-fleet.XXXXXX")
  trap '[ -z "$REASON" ] || echo "edge-fleet: $REASON" >&2; rm -f "$t"' EXIT
  { base64 -d | gzip -dc; } >"$t" 2>/dev/null || :
  [ "$(sha256sum "$t" | cut -d ' ' -f 1)" = "$1" ] || die "program: it arrived damaged - run again"
  sh "$t" install "${SUDO_USER:-root}"
}

check_digest() {
  case $1 in '' | *[!0-9a-f]*) die "program: not a SHA-256 - run edge-fleet push" ;; esac
}
