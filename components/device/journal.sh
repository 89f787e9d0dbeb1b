# The ground on which apply.sh stands, ahead of it in the rendered script: paths, the answer, the journal, the lock, and
# how files are put and brought back. Safe to kill at any moment: the journal tells the next run what is half done.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
set -eu
umask 077
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root
STATE=/var/lib/edge-fleet
LOG=/var/log/edge-fleet/apply.log
CGROUP=/sys/fs/cgroup
SYSTEMD=/run/systemd/system
BOOT_ID=/proc/sys/kernel/random/boot_id
POLL=2
LOCK_SECONDS=600
STORE=$STATE/artifacts
STAGE=$STATE/stage
PREVIOUS=$STATE/previous
APPLIED=$STATE/applied
JOURNAL=$STATE/journal
LOCK=$STATE/lock
RUN=$STATE/run/$HASH
STEP=start SWAPPED=0 FORCE=0 CHANGED=0 LOCKED=0 RESULT=failed REASON='' OLD_PID='' SINCE=0

now() { date +%s; }

report() {
  set -- "$1" "$(printf %s "$2" | tr -cs '\40-\176' ' ' | cut -c 1-300 | sed 's/[\\"]/\\&/g')"
  printf '{"device":"%s","result":"%s","hash":"%s","version":"%s","reason":"%s"}\n' "$DEVICE" "$1" "$HASH" "$VERSION" "$2"
}

die() {
  REASON=$*
  exit 1
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

alive() { grep -q apply.sh "/proc/${1:-none}/cmdline" 2>/dev/null; }

locked() {
  owner=$(readlink "$LOCK") && [ "${owner#*.}" = "$(cat "$BOOT_ID")" ] && alive "${owner%%.*}"
}

wait_unlocked() {
  while locked; do
    [ "$(now)" -lt "$1" ] || die "locked: run ${owner%%.*} still holds $LOCK - run again later"
    sleep "$POLL"
  done
}

# A symbolic link appears together with its content, so a lock without an owner cannot exist.
lock() {
  set -- "$$.$(cat "$BOOT_ID")" $(($(now) + LOCK_SECONDS))
  until ln -s "$1" "$LOCK" 2>/dev/null && [ "$(readlink "$LOCK")" = "$1" ]; do
    wait_unlocked "$2"
    rm -f "$LOCK"
  done
  LOCKED=1
}

main_pid() { systemctl show -p MainPID --value "$SERVICE"; }

finished() { case $(tail -n 1 "$JOURNAL" 2>/dev/null) in end* | '') ;; *) return 1 ;; esac }

applied() { [ -f "$APPLIED" ] && read -r applied <"$APPLIED" && [ "$applied" = "$1" ]; }

unchanged() {
  applied "$HASH" && finished &&
    [ "$(echo "${PATHS?}" | xargs cat 2>/dev/null | sha256sum)" = "$FILES_SUM  -" ] &&
    systemctl is-active --quiet "$SERVICE" && [ "$($KUBECTL get --raw=/readyz 2>/dev/null)" = ok ]
}

put() {
  t=${2%/*}/.edge-fleet.${2##*/}
  [ -d "${2%/*}" ] || (umask 022 && mkdir -p "${2%/*}")
  rm -f "$t"
  ln "$1" "$t" 2>/dev/null || cp -p "$1" "$t"
  sync "$t"
  mv -f "$t" "$2"
}

# A file that was not swapped yet still is the same inode as its backup, which mv refuses.
restore() {
  while read -r p; do
    rm -f "${p%/*}/.edge-fleet.${p##*/}"
    if [ ! -e "$PREVIOUS/files$p" ]; then rm -f "$p"; else cmp -s "$PREVIOUS/files$p" "$p" || put "$PREVIOUS/files$p" "$p"; fi
  done <"$PREVIOUS/paths"
}

recover() {
  ! finished || return 0
  if [ -f "$PREVIOUS.new/paths" ]; then
    rm -rf "$PREVIOUS"
    mv "$PREVIOUS.new" "$PREVIOUS"
  fi
  grep -Eq '^(swap|recover|rollback)' "$JOURNAL" || return 0
  if applied "$(head -n 1 "$JOURNAL" | cut -f 2)"; then
    journal end applied
    return 0
  fi
  journal recover begin
  restore
  FORCE=1
}

begin() {
  t=$STATE/.edge-fleet.journal
  printf 'begin\t%s\t%s\n' "$HASH" "$(now)" >"$t"
  [ "$FORCE" = 0 ] || printf 'recover\tend\t%s\n' "$(now)" >>"$t"
  sync "$t"
  mv -f "$t" "$JOURNAL"
}
