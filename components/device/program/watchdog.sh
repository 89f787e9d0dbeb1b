# What brings a device back that nobody reaches: a timer that ends a run which takes too long, and the boot, which finishes
# or undoes a run that a power cut ended.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
WATCHDOG=edge-fleet-watchdog
BOOT_SECONDS=180

# From the first change on, the run has ROLLBACK_SECONDS.
arm() {
  disarm
  start_later "$WATCHDOG" "$ROLLBACK_SECONDS" "$RUN/watchdog" "$PROGRAM" expire "$HASH" ||
    die "watchdog: it could not be armed - read $LOG"
}

disarm() { cancel_later "$WATCHDOG" "$RUN/watchdog"; }

# Each run leads a session, hence a process group, of its own.
kill_group() { kill -9 "-$1" 2>/dev/null || :; }

# The watchdog's end of a run: kills it with everything that it waits for, and rolls back in its place.
expire() {
  RUN=$STATE/run/$1
  [ -f "$RUN/payload" ] || exit 0
  write_log
  pid=$(cat "$RUN/pid" 2>/dev/null) || pid=
  ! alive "$pid" || kill_group "$pid"
  take_over "the run did not end within its time"
}

# At boot, before the distribution starts: a run that was cut off is undone on disk at once, so that the device boots into
# its last good state. Then, once, the run is tried again; a run that ends two boots is given up.
recover() {
  require_root
  write_log
  recover_restore
  ! finished && ! locked || exit 0
  HASH=$(head -n 1 "$JOURNAL" | cut -f 2)
  RUN=$STATE/run/$HASH
  rm -f "$LOCK"
  if [ -f "$RUN/payload" ] && payload "$RUN/payload"; then
    resume
    if finished; then
      rm -rf "$STAGE" "$RUN/payload"
      exit 0
    fi
    if [ -f "$RUN/booted" ]; then start_detached edge-fleet-apply "$PROGRAM" undo "$HASH"; else
      : >"$RUN/booted"
      start_detached edge-fleet-apply "$PROGRAM" run "$HASH"
    fi
  elif known_settings; then
    resume
    finished || journal end rolled-back
  fi
}

undo() {
  RUN=$STATE/run/$1
  write_log
  take_over "two boots interrupted the run"
}

# Rolls back in the place of a run that is dead.
take_over() {
  trap 'finish failed' EXIT
  trap 'exit 1' HUP INT TERM
  echo $$ >"$RUN/pid"
  payload "$RUN/payload"
  lock
  if finished || applied "$HASH"; then
    finished || journal end applied
    finish applied
  fi
  STEP=expired SWAPPED=1 FORCE=1
  rm -f "$STATE"/.edge-fleet.*
  settle_backup
  grep -Eq '^(swap|recover|rollback)' "$JOURNAL" || SWAPPED=0
  die "expired: $1"
}

# A run that a boot has started is earlier than the network and the time service, and waits for both. What it does not get
# in time, preflight and the downloads report as always.
await_boot() {
  BOOT_END=0
  [ -e "$RUN/booted" ] || return 0
  CLOCK_SECONDS=120
  BOOT_END=$(($(tick) + BOOT_SECONDS))
  until network_is_up; do
    [ "$(tick)" -lt "$BOOT_END" ] || return 0
    sleep "$POLL"
  done
}

# A default route, where one is needed.
network_is_up() (
  preflight_settings
  default_route
  [ -n "$UPLINK" ] || [ "$DUMMY_ROUTE" = 1 ] || [ ! -r "$PROC/net/route" ]
)
