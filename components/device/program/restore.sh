# Puts a copy in the place of the datastore. What was there is kept as a copy first. $RESTORING says how far that is: as long
# as it says `restore`, the service stays stopped and whoever comes next (another restore, an apply, the timer, the boot)
# puts the copy anew; from `start` on the datastore is whole and only the service is started.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
RESTORING=$STATE/restoring
PHASE='' SOURCE='' KEPT='' WELL=0 OUTCOME='' AWAITED=0 RECEIVED=''

# $1 is the name of a copy, - for one that comes on stdin, or nothing for the newest.
restore_copy() {
  answer_always
  require_root
  known_settings || die "settings: no apply has succeeded here yet - run edge-fleet up first"
  case " $PREFLIGHT " in *' role=agent '*) die "agent: this device has no datastore - restore the server that it joins" ;; esac
  RUN=$STATE/restore
  mkdir -p "$RUN"
  ! alive "$(cat "$RUN/pid" 2>/dev/null)" || die "locked: another restore is under way - run again when it has ended"
  case ${1-} in
    -) receive_copy ;;
    '') name=$(copies '*Z' | head -n 1) ;;
    *)
      name=$1
      is_copy_name "$name" || die "copy: $(plain "$name" 40) is no name of a copy - see edge-fleet backup list $DEVICE"
      ;;
  esac
  SOURCE=${RECEIVED:-backups}/$name
  if [ -z "$name" ] || [ ! -d "$STATE/$SOURCE" ]; then
    die "copy: ${name:-none} is not here - see edge-fleet backup list $DEVICE, or send one with --from"
  fi
  check_copy "$STATE/$SOURCE"
  rm -f "$RUN/result" "$RUN/pid"
  start_detached edge-fleet-restore "$PROGRAM" restoring "$SOURCE" || die "detach: the restore could not be started - read $LOG"
  answer_always
  follow
}

is_copy_name() { printf '%s\n' "$1" | grep -Eq '^[0-9]{8}T[0-9]{6}Z(-before)?$'; }

# Takes a tar.gz from stdin. Nothing is unpacked before each of its members is one that a copy has.
receive_copy() {
  received=$(mktemp -d "$STATE/received.XXXXXX") || die "disk: $STATE is full or read-only - free some"
  trap 'rm -rf "$received"; say "$(report failed "${REASON:-restore: a command failed on the device - see $LOG}")"' EXIT
  packed=$received/copy.tar.gz
  timeout 3600 cat >"$packed" || die "copy: it did not arrive - check the connection and the free space"
  listing=$(tar -tvzf "$packed" 2>/dev/null) || listing=
  [ -n "$listing" ] || die "copy: it is no tar.gz, or cut off - decrypt it with openssl cms -decrypt and send it again"
  ! printf '%s\n' "$listing" | grep -Eq '^[^d-]| -> | link to ' ||
    die "copy: it holds links or devices - it was not made by edge-fleet"
  members=$(tar -tzf "$packed" 2>/dev/null)
  name=$(printf '%s\n' "$members" | sed -n '1s|/.*||p')
  is_copy_name "$name" || die "copy: it is not named by a time - it was not made by edge-fleet"
  while read -r member; do
    case $member in "$name" | "$name"/) continue ;; "$name"/*) ! is_member "${member#*/}" || continue ;; esac
    die "copy: $(plain "$member" 80) is no part of a copy - it was not made by edge-fleet"
  done <<END
$members
END
  tar -xzf "$packed" -C "$received" 2>/dev/null || die "copy: it could not be unpacked - check the free space"
  rm -f "$packed"
  chmod -R u-s,g-s,go-w "$received/$name"
  RECEIVED=${received##*/}
}

# What the distributions put into a copy.
is_member() {
  case $1 in
    *[!A-Za-z0-9._/-]* | */../* | ../* | */.. | *//*) return 1 ;;
    about | token | engine-secrets.yaml | node-password | encryption.yaml | db | db/ | db/state.db | db/state.db-wal) ;;
    encryption-config.json | encryption-state.json) ;;
    pki | pki/* | backend | backend/*) ;;
    *) return 1 ;;
  esac
}

# A copy without `about` was made by an older program, on this device.
check_copy() {
  "${DISTRIBUTION}_is_copy" "$1" || die "copy: it holds no datastore of $DISTRIBUTION - use another one"
  owner=$(about_copy "$1" device)
  [ "${owner:-$DEVICE}" = "$DEVICE" ] ||
    die "copy: it is of $(plain "$owner" 64), not of $DEVICE, and its node has another name - use a copy of $DEVICE"
  made=$(about_copy "$1" version | minor_of)
  have=$("${DISTRIBUTION}_version" | minor_of)
  [ "${made:-0}" -le "${have:-9999}" ] || die "copy: v1.$made made it, and v1.$have cannot read it - apply v1.$made first"
  [ "$(df -Pk "$STATE" | awk 'NR == 2 { print $4 }')" -gt $((3 * $(du -sk "$1" | cut -f 1))) ] ||
    die "disk: under three times the size of the copy is free in $STATE - free some"
}

about_copy() { [ ! -f "$1/about" ] || sed -n "s/^$2 //p" "$1/about"; }

minor_of() { sed -n 's/^v1\.\([0-9]\{1,4\}\)\..*/\1/p'; }

# The restore itself, detached from the connection that asked for it. $1 is a copy below $STATE, or `resume`.
restoring() {
  write_log
  known_settings
  RUN=$STATE/restore
  mkdir -p "$RUN"
  trap end_restore EXIT
  trap 'exit 1' HUP INT TERM
  echo $$ >"$RUN/pid"
  lock
  rm -f "$STATE"/.edge-fleet.*
  finished || die "apply: a run was cut off - run edge-fleet up, which ends it, then restore"
  [ "$1" = resume ] || begin_restore "$1"
  complete_restore
}

# A restore that was cut off has kept the state before already.
begin_restore() {
  KEPT=$(date -u +%Y%m%dT%H%M%SZ)-before
  if [ -f "$RESTORING" ]; then read_restore; elif ready; then WELL=1; fi
  note_restore restore "$1"
}

read_restore() { read -r PHASE SOURCE KEPT WELL <"$RESTORING"; }

note_restore() {
  PHASE=$1 SOURCE=$2
  echo "$PHASE $SOURCE $KEPT $WELL" >"$STATE/.edge-fleet.restore"
  put "$STATE/.edge-fleet.restore" "$RESTORING"
  rm -f "$STATE/.edge-fleet.restore"
  echo "$(date -u +%FT%TZ) restore: $PHASE $SOURCE, before: $KEPT"
}

# Ends what $RESTORING says, and sets OUTCOME. A state before that was well comes back where the copy does not become ready.
# Nothing here stands in a condition: there the shell would not stop at an error.
complete_restore() {
  OUTCOME=
  if [ ! -s "$RESTORING" ]; then OUTCOME=restored && return 0; fi
  read_restore
  first=$PHASE
  enter_copy
  chosen=${SOURCE##*/}
  if [ "$AWAITED" = 1 ]; then
    OUTCOME=restored
  elif [ "$WELL$first" = 1restore ] && [ -d "$BACKUPS/$KEPT" ]; then
    REASON="not-ready: with $chosen $(not_ready); back on the state before"
    note_restore restore "backups/$KEPT"
    enter_copy
    OUTCOME=rolled-back
    [ "$AWAITED" = 1 ] || REASON="$REASON, but $WHY - read $LOG"
  else
    OUTCOME='failed' REASON="not-ready: $chosen is in place, but $(not_ready) - read $LOG"
  fi
  SOURCE=$chosen
  forget_restore
}

# Puts the copy in place unless it is there, starts the service and waits until all is well.
enter_copy() {
  if [ "$PHASE" = restore ]; then
    "${DISTRIBUTION}_stop"
    pid=$("${DISTRIBUTION}_main_pid")
    [ "${pid:-0}" = 0 ] || die "stop: $SERVICE does not stop - read $LOG"
    put_copy
  fi
  STEP=gate OLD_PID='' SINCE=$(date -u +%Y%m%d%H%M%S) AWAITED=1
  "${DISTRIBUTION}_start"
  await || AWAITED=0
  [ "$AWAITED" = 0 ] || optional "${DISTRIBUTION}_apply_manifests" || :
}

put_copy() {
  copy_datastore "$KEPT" || die "keep: what is there could not be copied - free some space, or read $LOG"
  if [ -d "$STATE/$SOURCE" ]; then
    "${DISTRIBUTION}_restore_datastore" "$STATE/$SOURCE"
    restore_engine_secrets "$STATE/$SOURCE"
  else
    echo "restore: $SOURCE is gone: what is there is started again"
  fi
  sync
  note_restore start "$SOURCE"
}

# Like `put`, but never as another name of the copy's own file, which would change with it.
put_apart() {
  apart=${2%/*}/.edge-fleet.apart
  rm -f "${2%/*}/.edge-fleet.${2##*/}" "$apart"
  ! cmp -s "$1" "$2" || return 0
  mkdir -p "${2%/*}"
  cp -p "$1" "$apart"
  put "$apart" "$2"
  rm -f "$apart"
}

forget_restore() {
  rm -f "$RESTORING"
  rm -rf "$STATE"/received.*
  kept=$BACKUP_KEEP
  [ "$kept" != 0 ] || kept=1
  rotate '*Z-before' "$kept"
}

# After an error what is there runs on: each distribution builds the new datastore beside the old one.
end_restore() {
  trap : HUP INT TERM
  trap - EXIT
  set +e
  if [ -z "$OUTCOME" ]; then
    OUTCOME='failed' REASON=${REASON:-"restore: a command failed - free some space, or read $LOG"}
    if [ "$LOCKED" = 1 ] && [ -f "$RESTORING" ]; then
      "${DISTRIBUTION}_start"
      forget_restore
    fi
  fi
  [ "$LOCKED" = 0 ] || rm -f "$LOCK"
  echo "$(date -u +%FT%TZ) restore: $OUTCOME $REASON"
  [ -d "$BACKUPS/$KEPT" ] || KEPT=
  printf '{"device":"%s","result":"%s","copy":"%s","before":"%s","reason":"%s"}\n' \
    "$DEVICE" "$OUTCOME" "${SOURCE##*/}" "$KEPT" "$(plain "$REASON" 1000)" >"$RUN/.result"
  mv -f "$RUN/.result" "$RUN/result"
  exit 0
}

# For an apply and the timer, before they take the lock.
resume_restore() { [ ! -f "$RESTORING" ] || "$PROGRAM" restoring resume || :; }

# At boot, before the service starts: a copy that was being put is put whole, then the rest goes on detached.
recover_restore() {
  locked || rm -f "$LOCK" "$STATE"/.edge-fleet.*
  [ -f "$RESTORING" ] && finished && ! locked && known_settings && read_restore || return 0
  [ "$PHASE" != restore ] || put_copy
  start_detached edge-fleet-restore "$PROGRAM" restoring resume
}
