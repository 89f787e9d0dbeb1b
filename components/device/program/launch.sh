# How a payload becomes a run that outlives its connection, and how a connection waits for the answer.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

# The payload comes on stdin, plain or packed with gzip and base64. It may hold passwords, so it is kept in memory until
# a run needs it, and no longer than that.
receive_payload() {
  new_incoming
  timeout 120 cat >"$INCOMING.raw" || die "payload: it does not arrive - check the connection"
  unpack_payload
}

new_incoming() {
  find "$VOLATILE" -maxdepth 1 -name 'edge-fleet.*' -mmin +60 -exec rm -f {} + 2>/dev/null || :
  INCOMING=$(mktemp "$VOLATILE/edge-fleet.XXXXXX") || die "memory: $VOLATILE is full - restart the device"
}

unpack_payload() {
  case $(head -c 12 "$INCOMING.raw" | tr -d '\0') in
    'edge-fleet 1'*) mv -f "$INCOMING.raw" "$INCOMING" ;;
    *)
      { base64 -d | gzip -dc; } <"$INCOMING.raw" >"$INCOMING" 2>/dev/null || :
      rm -f "$INCOMING.raw"
      ;;
  esac
  payload "$INCOMING"
}

apply() {
  answer_always
  require_root
  receive_payload
  follow_detached
}

# The other end of dial.sh: one question a connection. The connection stays open for what the device still lacks.
serve() {
  answer_always
  require_root
  read -r word name || die "dial: nothing was asked - run again"
  case $word in
    apply) ;;
    remove) remove "$name" ;;
    *) die "dial: unknown question - run again" ;;
  esac
  new_incoming
  # Not sed, which in busybox reads a line ahead and so waits for one that never comes.
  timeout 120 /bin/sh -c "while read -r l && [ \"\$l\" != . ]; do echo \"\$l\"; done" >"$INCOMING.raw" ||
    die "payload: it does not arrive - check the connection"
  unpack_payload
  answer_unchanged
  receive_artifacts
  follow_detached
}

# No command of the device may hold the connection for ever: the engine cannot end it.
follow_detached() {
  trap - EXIT
  exec timeout -k 10 $((READY_SECONDS + 900)) "$PROGRAM" follow "$INCOMING"
}

launch() {
  answer_always
  INCOMING=$1
  payload "$INCOMING"
  answer_unchanged
  pid=$(cat "$RUN/pid" 2>/dev/null) || pid=
  if ! alive "$pid"; then
    wait_unlocked $(($(tick) + LOCK_SECONDS))
    keep_payload 2>/dev/null || die "disk: $STATE is full or read-only - free some, or check the disk"
    start_detached edge-fleet-apply "$PROGRAM" run "$HASH" ||
      { sleep 3 && start_detached edge-fleet-apply "$PROGRAM" run "$HASH"; } ||
      die "detach: the run could not be started - read $LOG"
  fi
  rm -f "$INCOMING"
  follow
}

answer_unchanged() {
  [ ! -L "$LOCK" ] && unchanged || return 0
  engine_state 0
  say "$(report unchanged '')"
}

keep_payload() {
  mkdir -p "$RUN" && rm -f "$RUN/result" "$RUN/pid" || return 1
  if cp "$INCOMING" "$RUN/.payload" && sync "$RUN/.payload"; then mv -f "$RUN/.payload" "$RUN/payload"; else
    rm -f "$RUN/.payload"
    return 1
  fi
}

follow() {
  end=$(($(tick) + READY_SECONDS + 840))
  dead=0
  until [ -s "$RUN/result" ]; do
    pid='' patience=60
    [ ! -f "$RUN/pid" ] || ! read -r pid <"$RUN/pid" || patience=3
    if alive "$pid"; then dead=0; else dead=$((dead + 1)); fi
    [ "$dead" -lt "$patience" ] || die "interrupted: the run died - run again: it resumes"
    [ "$(tick)" -lt "$end" ] || die "running: not done yet - run again: it follows"
    sleep 1
  done
  read -r line <"$RUN/result"
  say "$line"
}
