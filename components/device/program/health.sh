# Whether the device is as it should be: the API, the node with a fresh heartbeat, the system deployments, the WASM
# runtimes, and the labels and taints of the node, which settings alone change at its first registration only.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

# Nothing has to be done: what the hash stands for was committed, is unchanged on disk, and runs.
unchanged() {
  applied "$HASH" && finished && [ ! -e "$RESTORING" ] &&
    [ "$(echo "$PATHS" | xargs cat 2>/dev/null | sha256sum)" = "$(wanted_files | sha256sum)" ] && installed_present &&
    [ "$("${DISTRIBUTION}_main_pid")" != 0 ] && engine_made && [ "$($KUBECTL get --raw=/readyz 2>/dev/null)" = ok ] && keep_settings
}

# The contents of the payload's files, one after the other: a changed password is found so, since the hash leaves it out.
wanted_files() { awk '/^file / { for (n = $5; n > 0; n--) { getline; print } }' "$PAYLOAD"; }

# What the hash leaves out, such as limits and where copies go, holds from now on without a run.
keep_settings() {
  ! settings_of "$PAYLOAD" | cmp -s - "$SETTINGS" || return 0
  forget_agents >>"$LOG" 2>&1
  keep_to_windows >>"$LOG" 2>&1 || :
  settings_of "$PAYLOAD" >"$STATE/.edge-fleet.known" && put "$STATE/.edge-fleet.known" "$SETTINGS" || return 1
  rm -f "$STATE/.edge-fleet.known"
}

installed_present() {
  [ ! -e "$UNREPAIRED" ] || return 1
  for p in $INSTALL_PATHS; do
    [ -f "$p" ] || return 1
  done
}

ready() {
  pid=$("${DISTRIBUTION}_main_pid")
  WHY="$SERVICE does not run"
  [ "${pid:-0}" != 0 ] && [ "$pid" != "$OLD_PID" ] || return 1
  WHY="the API is not ready"
  [ "$($KUBECTL get --raw=/readyz 2>/dev/null)" = ok ] || return 1
  WHY="node $DEVICE is not Ready"
  beat=$($KUBECTL get node "$DEVICE" -o 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}') || return 1
  [ "${beat%% *}" = True ] && fresh "$(echo "$beat" | tr -cd 0-9)" || return 1
  for d in $DEPLOYMENTS; do
    WHY="deployment $d is not available"
    case $($KUBECTL -n kube-system get deployment "$d" -o 'jsonpath={.status.availableReplicas}') in '' | 0) return 1 ;; esac
  done
  for r in $WASM; do
    WHY="containerd does not know the WASM runtime $r"
    optional "${DISTRIBUTION}_wasm_ready" "$r" || return 1
  done
  [ "$STEP" = gate ] || return 0
  WHY="the labels were not accepted"
  reconcile label "$LABELS" 2 || return 1
  WHY="the taints were not accepted"
  reconcile taint "$TAINTS" 3
}

# A heartbeat of the former process does not count; one that is older because the clock was set back does.
fresh() { later "$1" "$SINCE" || later "$SINCE" "$(date -u +%Y%m%d%H%M%S)"; }

# As text: mksh counts in 32 bits.
later() { [ "$1" != "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort | head -n 1)" = "$2" ]; }

# $1 label or taint, $2 the wanted ones, $3 the line of the former state that has the keys put then.
reconcile() {
  verb=$1 wanted=$2 before=$(applied_line "$3" "$PREVIOUS/files$APPLIED")
  set --
  for w in $wanted; do set -- "$@" "$w"; done
  for k in $before; do
    case " $(keys_of "$verb" "$wanted") " in *" $k "*) continue ;; esac
    [ "$verb" = label ] || tainted "$k" || continue
    set -- "$@" "$k-"
  done
  [ "$#" = 0 ] || $KUBECTL "$verb" --overwrite node "$DEVICE" "$@"
}

# Whether the node has a taint. One that somebody has taken off kubectl refuses to remove, and with it all it is asked for.
tainted() {
  present=$($KUBECTL get node "$DEVICE" -o 'jsonpath={range .spec.taints[*]}{.key}:{.effect} {end}') || return 0
  case " $present" in *" $1 "*) ;; *) return 1 ;; esac
}

# The key of a label is what precedes its value; a taint is told apart by its key and its effect.
keys_of() {
  case $1 in
    label) echo "$2" | sed 's/=[^ ]*//g' ;;
    taint) echo "$2" | sed 's/=[^ :]*:/:/g' ;;
  esac
}

# Why the gate stays shut, with the distribution's own words for it where it has any.
not_ready() {
  said=$(optional "${DISTRIBUTION}_complaint") || said=
  echo "$WHY after $READY_SECONDS s${said:+; $SERVICE says: $said}"
}

await() {
  end=$(($(tick) + READY_SECONDS))
  until ready; do
    [ "$(tick)" -lt "$end" ] || return 1
    sleep "$POLL"
  done
}
