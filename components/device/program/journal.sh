# The ground on which the other parts of the device program stand: paths, the answer, the journal, the lock, and how files
# are put and brought back. Safe to kill at any moment: the journal tells the next run what is half done.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
set -eu
umask 077
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin LC_ALL=C HOME=/root
PROGRAM=/usr/local/sbin/edge-fleet-device
STATE=/var/lib/edge-fleet
LOG=/var/log/edge-fleet/apply.log
VOLATILE=/run
CGROUP=/sys/fs/cgroup
PROC=/proc
SYSTEMD=/run/systemd/system
UNITS=/etc/systemd/system
BOOT_ID=$PROC/sys/kernel/random/boot_id
POLL=2
LOCK_SECONDS=600
CLOCK_CEILING=2046
STORE=$STATE/artifacts
STAGE=$STATE/stage
PREVIOUS=$STATE/previous
APPLIED=$STATE/applied
SETTINGS=$STATE/settings
INSTALLED=$STATE/installed
COMMITTED=$STATE/committed
BACKUPS=$STATE/backups
JOURNAL=$STATE/journal
LOCK=$STATE/lock
DEVICE='' HASH='' VERSION='' RUN='' ALL_SERVICES=''
STEP=start SWAPPED=0 FORCE=0 CHANGED=0 LOCKED=0 RESULT=failed REASON='' OLD_PID='' SINCE=0 WHY='' ENGINE_STATE=''

now() { date +%s; }

# Seconds that only grow: a clock that is set while a run waits must not end or stretch the wait.
tick() {
  read -r seconds _ <"$PROC/uptime"
  echo "${seconds%%.*}"
}

boot_id() { cat "$BOOT_ID"; }

finding() { REASON="$REASON${REASON:+; }$*"; }

plain() { printf %s "$1" | tr -cs '\40-\176' ' ' | cut -c "1-$2" | sed 's/[\\"]/\\&/g'; }

report() {
  code=${2%%: *}
  case $code in "$2" | *[!a-z-]*) code= ;; esac
  printf '{"device":"%s","result":"%s","code":"%s","hash":"%s","version":"%s","engine":"%s","reason":"%s"}\n' \
    "$DEVICE" "$1" "$code" "$HASH" "$VERSION" "$(plain "$ENGINE_STATE" 300)" "$(plain "$2" 1000)"
}

die() {
  REASON=$*
  exit 1
}

say() {
  trap - EXIT
  [ -z "${INCOMING-}" ] || rm -f "$INCOMING" "$INCOMING.raw"
  echo "$1"
  case $1 in *'"result":"failed"'* | *'"result":"rolled-back"'*) exit 1 ;; *) exit 0 ;; esac
}

# Every answer is one JSON line, also of a command that ends early.
answer_always() {
  trap 'say "$(report failed "${REASON:-launch: a command failed on the device - see $LOG}")"' EXIT
  trap 'exit 1' HUP INT TERM
}

require_root() {
  [ "$(id -u)" = 0 ] || die "root: not root - log in as root or allow sudo without a password"
  mkdir -p "$STATE" "${LOG%/*}"
  chmod 700 "$STATE" "${LOG%/*}"
}

write_log() {
  if [ -f "$LOG" ] && [ "$(wc -c <"$LOG")" -gt 262144 ]; then
    tail -c 65536 "$LOG" >"$LOG.new"
    mv -f "$LOG.new" "$LOG"
  fi
  exec </dev/null >>"$LOG" 2>&1
}

journal() {
  printf '%s\t%s\t%s\n' "$1" "$2" "$(now)" >>"$JOURNAL"
  sync "$JOURNAL"
  echo "$(date -u +%FT%TZ) $1 $2"
}

enter() {
  STEP=$1
  journal "$1" begin
}

finished() { case $(tail -n 1 "$JOURNAL" 2>/dev/null) in end* | '') ;; *) return 1 ;; esac }

applied() { [ -f "$APPLIED" ] && read -r applied <"$APPLIED" && [ "$applied" = "$1" ]; }

# What the last committed run has put: line 2 the keys of its labels, 3 those of its taints, 4 its paths.
applied_line() { sed -n "$1p" "${2:-$APPLIED}" 2>/dev/null || :; }

alive() { grep -q edge-fleet-device "$PROC/${1:-none}/cmdline" 2>/dev/null; }

locked() {
  owner=$(readlink "$LOCK") && [ "${owner#*.}" = "$(boot_id)" ] && alive "${owner%%.*}"
}

wait_unlocked() {
  while locked; do
    [ "$(tick)" -lt "$1" ] || die "locked: run ${owner%%.*} still holds $LOCK - run again later"
    sleep "$POLL"
  done
}

# A symbolic link appears together with its content, so a lock without an owner cannot exist.
lock() {
  set -- "$$.$(boot_id)" $(($(tick) + LOCK_SECONDS))
  until ln -s "$1" "$LOCK" 2>/dev/null && [ "$(readlink "$LOCK")" = "$1" ]; do
    wait_unlocked "$2"
    rm -f "$LOCK"
  done
  LOCKED=1
}

# With the time of now: K3s looks at no manifest whose time it has seen there before, and a file of the store has the time at
# which it came, also when it comes back. pkg/deploy/controller.go of v1.36 (listFilesIn)
put() {
  t=${2%/*}/.edge-fleet.${2##*/}
  make_folder "${2%/*}"
  rm -f "$t"
  link_or_copy "$1" "$t"
  touch "$t"
  sync "$t"
  mv -f "$t" "$2"
  label "$2"
}

# A file that was not swapped yet still is the same inode as its backup, which mv refuses.
restore() {
  while read -r p; do
    rm -f "${p%/*}/.edge-fleet.${p##*/}"
    if [ -e "$PREVIOUS/files$p" ]; then
      ! cmp -s "$PREVIOUS/files$p" "$p" || continue
      put "$PREVIOUS/files$p" "$p"
    else
      rm -f "$p"
    fi
    reread "$p"
  done <"$PREVIOUS/paths"
}
