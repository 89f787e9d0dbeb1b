#!/bin/sh
# ProxyCommand of a device behind a jump host: joins the device's connection to the one that all devices behind that host
# share, so that its SSH server sees one log-in and not one for each device (sshd_config: MaxStartups 10:30:100). The first
# that comes makes the shared connection while the others wait for it. $1 is the jump host's name in jumps/, $2 and $3 the
# device's address and port, $4 the folder of the sockets.
set -u
export LC_ALL=C
CONFIG=${0%/*}/jumps/$1
LOCK=$4/$1.lock
FAILED=$4/$1.failed
STARTED=$4/$1.started.$$

shared() { ssh -F "$CONFIG" -O check "$1" 2>/dev/null; }

# Whoever waited while the shared connection failed shares that failure instead of trying for itself, one after the other.
await_other() {
  while [ -d "$LOCK" ]; do
    read -r owner 2>/dev/null <"$LOCK/owner" && { kill -0 "$owner" 2>/dev/null || rm -rf "$LOCK"; }
    sleep 0.2 2>/dev/null || sleep 1
  done
  if [ -f "$FAILED" ] && [ -n "$(find "$FAILED" -newer "$STARTED" 2>/dev/null)" ]; then
    cat "$FAILED" >&2
    exit 255
  fi
}

share() {
  echo $$ >"$LOCK/owner"
  shared "$1" || ssh -F "$CONFIG" -fN "$1" </dev/null >/dev/null 2>"$FAILED.$$"
  status=$?
  if [ "$status" = 0 ]; then rm -f "$FAILED" "$FAILED.$$"; else
    cat "$FAILED.$$" >&2
    mv -f "$FAILED.$$" "$FAILED"
  fi
  rm -rf "$LOCK"
  [ "$status" = 0 ] || exit 255
}

: >"$STARTED"
trap 'rm -f "$STARTED"' EXIT
trap 'exit 255' HUP INT TERM
until shared "$1"; do
  if mkdir "$LOCK" 2>/dev/null; then share "$1"; else await_other; fi
done
rm -f "$STARTED"
case $2 in *:*) host="[$2]" ;; *) host=$2 ;; esac
exec ssh -F "$CONFIG" -W "$host:$3" "$1"
