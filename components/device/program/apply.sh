# The transaction that makes this device what the payload says. Each step is in the journal before it begins; whatever
# stops a run, the next one, the watchdog or the boot finishes it or goes back to the last good state.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

preflight() {
  enter preflight
  await_boot
  found=$(all_findings) || die "preflight: a check failed - read $LOG"
  while IFS='	' read -r id severity text; do
    case $severity in error) finding "$id: $text" ;; warning) echo "warning: $id: $text" ;; esac
  done <<END
$found
END
  [ -z "$REASON" ] || exit 1
}

# There is no way back from here, so everything that is needed has been staged before.
replace() {
  gone=$(occupants)
  [ -n "$gone" ] || return 0
  enter replace
  for other in $gone; do
    erase_cluster "$other"
  done
  rm -rf "$PREVIOUS" "$PREVIOUS.new" "$SETTINGS"
}

backup() {
  enter backup
  n=$PREVIOUS.new
  rm -rf "$n"
  mkdir -p "$n/files"
  for p in $(managed_paths) "$(engine_secrets)" "$APPLIED" "$SETTINGS" "$INSTALLED" "$COMMITTED"; do
    if [ -e "$p" ]; then
      mkdir -p "$n/files${p%/*}"
      link_or_copy "$p" "$n/files$p"
    fi
    echo "$p" >>"$n/list"
  done
  ! first_install || echo "$DISTRIBUTION" >"$n/first"
  save_datastore "$n/datastore"
  mv "$n/list" "$n/paths"
  sync
  settle_backup
  ! taken_over || copy_taken_over
}

# A whole backup takes the place of the former one; of one that was cut off nothing is of use.
settle_backup() {
  if [ -f "$PREVIOUS.new/paths" ]; then
    rm -rf "$PREVIOUS"
    mv "$PREVIOUS.new" "$PREVIOUS"
  fi
  rm -rf "$PREVIOUS.new"
}

# What this run puts and what the last one put, each once.
managed_paths() { echo "$PATHS $INSTALL_PATHS $(applied_line 4)" | tr -s ' ' '\n' | awk '$0 != "" && !seen[$0]++'; }

# A new version may change the datastore in ways that the old one cannot read.
save_datastore() {
  have=$("${DISTRIBUTION}_version")
  [ -n "$have" ] && [ "$have" != "$VERSION" ] || return 0
  mkdir -p "$1"
  "${DISTRIBUTION}_backup_datastore" "$1" || die "backup: the datastore could not be copied - free some space, or read $LOG"
}

swap() {
  enter swap
  SWAPPED=1
  rm -f "$APPLIED"
  prepare_engine
  for p in $PATHS $INSTALL_PATHS; do
    [ -e "$STAGE$p" ] || continue
    changed=0
    cmp -s "$STAGE$p" "$p" || changed=1
    put "$STAGE$p" "$p"
    [ "$changed" = 0 ] || changed_file "$p"
  done
  for p in $(applied_line 4 "$PREVIOUS/files$APPLIED"); do
    case " $PATHS $INSTALL_PATHS " in *" $p "*) continue ;; esac
    case $p in "$(manifests)"/*) ;; *) drop "$p" ;; esac
  done
  prepare_agent
}

changed_file() {
  case " $LIVE_PATHS " in *" $1 "*) ;; *) CHANGED=1 ;; esac
  reread "$1"
}

# A file that the last state had and this one has not. A shim's processes hold the file that they run.
drop() {
  [ -e "$1" ] || return 0
  case $1 in */containerd-shim-*) kill_by_path "$1" ;; */edge-fleet-route.service) end_route ;; esac
  rm -f "$1"
  reread "$1"
  case $1 in "$BACKUP_CONFIG"/* | "$AGENT_CLIENT") ;; *) CHANGED=1 ;; esac
}

activate() {
  enter activate
  "${DISTRIBUTION}_install"
  pid=$("${DISTRIBUTION}_main_pid")
  [ "$FORCE$CHANGED" != 00 ] || [ "${pid:-0}" = 0 ] || return 0
  OLD_PID=$pid
  SINCE=$(date -u +%Y%m%d%H%M%S)
  : >"$PREVIOUS/started"
  apply_sysctls
  "${DISTRIBUTION}_start"
}

gate() {
  enter gate
  await || die "not-ready: $(not_ready)"
}

commit() {
  enter commit
  # shellcheck disable=SC2046
  forget_manifests "$PREVIOUS/files" $(former_manifests)
  optional "${DISTRIBUTION}_apply_manifests" || :
  hand_over || :
  forget_agents
  ! taken_over || optional "${DISTRIBUTION}_adopted"
  remember_installed >"$STAGE/installed"
  settings_of "$RUN/payload" >"$STAGE/settings"
  boot_id >"$STAGE/committed"
  { echo "$HASH" && keys_of label "$LABELS" && keys_of taint "$TAINTS" && echo "$PATHS $INSTALL_PATHS"; } >"$STAGE/applied"
  for name in installed settings committed applied; do
    put "$STAGE/$name" "$STATE/$name"
  done
  rm -f "$UNREPAIRED"
  SWAPPED=0
  for p in "$STATE"/run/*; do
    [ "$p" = "$RUN" ] || rm -rf "$p"
  done
}

remember_installed() { each_artifact remember_one; }

remember_one() { [ "$path" = - ] || echo "$sum $(sum_of "$path") $path"; }

rollback() {
  enter rollback
  CHANGED=0 FORCE=1 RESULT=rolled-back
  if had_state; then
    restore_all
    make_engine_folders
    prepare_agent
    optional "${DISTRIBUTION}_undo"
    activate
    # shellcheck disable=SC2046
    if await; then
      finding "back on the previous state"
      (forget_manifests "$STAGE" $(new_manifests)) || :
    else
      RESULT=failed
      finding "restored the previous state, but $WHY - read $LOG"
    fi
  elif [ -e "$PREVIOUS/first" ]; then
    restore_all
    service_reload
    rm -f "$PREVIOUS/first"
    finding "removed with its data, nothing was there before"
  else
    "${DISTRIBUTION}_stop"
    restore
    optional "${DISTRIBUTION}_undo"
    service_reload
    finding "stopped and its files removed, since nothing ran before; the data that was there is kept - run again, or erase the device (decommission: wipe)"
  fi
}

# Whether something ran before: a committed state, or an installation that was there before edge-fleet.
had_state() {
  [ -e "$PREVIOUS/files$APPLIED" ] || { [ -n "$BIN" ] && [ -e "$PREVIOUS/files$BIN" ] && [ -e "$PREVIOUS/files$UNIT" ]; }
}

# Files, and the datastore where the new version may have written it. A first install goes back to nothing: its data would
# bind the next one to the networks and the authorities of this one.
restore_all() {
  if [ -s "$PREVIOUS/first" ]; then
    erase_cluster "$(cat "$PREVIOUS/first")"
    restore
  elif [ -d "$PREVIOUS/datastore" ] && [ -e "$PREVIOUS/started" ]; then
    "${DISTRIBUTION}_stop"
    restore
    "${DISTRIBUTION}_restore_datastore" "$PREVIOUS/datastore"
    rm -f "$PREVIOUS/started"
  else
    restore
  fi
}

# Makes up for a run that was cut off: back to the last good files, from where this run begins.
resume() {
  ! finished || return 0
  settle_backup
  grep -Eq '^(swap|recover|rollback)' "$JOURNAL" || return 0
  if applied "$(head -n 1 "$JOURNAL" | cut -f 2)"; then
    journal end applied
    return 0
  fi
  journal recover begin
  restore_all
  FORCE=1
}

begin() {
  t=$STATE/.edge-fleet.journal
  printf 'begin\t%s\t%s\n' "$HASH" "$(now)" >"$t"
  [ "$FORCE" = 0 ] || printf 'recover\tend\t%s\n' "$(now)" >>"$t"
  sync "$t"
  mv -f "$t" "$JOURNAL"
}

finish() {
  trap : HUP INT TERM
  trap - EXIT
  set +e
  set +f
  if [ "$1" = failed ]; then
    REASON=${REASON:-"$STEP: a command failed - read $LOG"}
    [ "$SWAPPED" = 0 ] || rollback
  else
    RESULT=$1
  fi
  disarm
  if [ "$LOCKED" = 1 ]; then
    rm -rf "$STAGE"
    settle_backup
    finished || journal end "$RESULT"
    rm -f "$LOCK"
  fi
  rm -f "$RUN/payload"
  case $RESULT in
    applied)
      engine_state "$ENGINE_SECONDS"
      keep_to_windows
      ;;
    unchanged | rolled-back) engine_state 0 ;;
  esac
  report "$RESULT" "$REASON" >"$RUN/.result"
  mv -f "$RUN/.result" "$RUN/result"
  exit
}

# The run itself, detached from the connection that asked for it.
run() {
  RUN=$STATE/run/$1
  trap 'finish failed' EXIT
  trap 'exit 1' HUP INT TERM
  write_log
  rm -f "$RUN/result"
  echo $$ >"$RUN/pid"
  resume_restore
  payload "$RUN/payload"
  lock
  rm -f "$STATE"/.edge-fleet.*
  resume
  [ "$FORCE" = 1 ] || ! unchanged || finish unchanged
  begin
  preflight
  stage
  replace
  arm
  backup
  swap
  activate
  gate
  commit
  finish applied
}
