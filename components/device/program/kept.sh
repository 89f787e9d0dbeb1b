# What a cluster keeps although its files have changed: settings of its first start, objects of manifests that are gone, and
# whose it was before this run.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

fixed_findings() {
  started && [ -f "$RUN/payload" ] || return 0
  optional "${DISTRIBUTION}_fixed"
}

# $1 is the file, $2 the setting, $3 what the distribution takes where the file has none.
fixed_setting() {
  have=$(value_of "$2" <"$1" 2>/dev/null) || have=
  fixed_value "$2" "${have:-$3}" "$(payload_lines "$1" | value_of "$2")"
}

# $1 is a setting, $2 what the cluster has, $3 what the payload says.
fixed_value() {
  [ -n "$2" ] && [ -n "$3" ] && [ "$2" != "$3" ] || return 0
  printf 'fixed\terror\t%s is %s since the first start, the inventory says %s - put it back, or erase the device (decommission: wipe) and add it anew\n' "$@"
}

# The lines of a file of the payload.
payload_lines() {
  awk -v path="$1" '
    left > 0 { left--; if (show) print; next }
    $1 == "file" { left = $5; show = $4 == path }' "$RUN/payload"
}

value_of() { sed -n "s/^ *$1: *//p" | tr -d "\"'" | head -n 1; }

# The node of a device that joins this one no more, which only the server may delete. With it goes the Secret with the
# node's password, without which the device, or another under its id, may come back. pkg/nodepassword/controller.go of K3s
# v1.36 (onChangeNode), pkg/node/controller.go of v1.33 (onRemove)
forget_agents() {
  sed -n 's/^set AGENTS //p' "$SETTINGS" 2>/dev/null | tr ' ' '\n' | while read -r agent; do
    case " $AGENTS " in *" $agent "*) continue ;; esac
    # shellcheck disable=SC2086
    $KUBECTL delete node "$agent" --ignore-not-found --wait=false </dev/null || echo "node $agent could not be deleted"
  done
}

# Whether the cluster that this run changes was made by somebody else.
taken_over() { [ ! -e "$PREVIOUS/files$APPLIED" ] && [ ! -e "$PREVIOUS/first" ]; }

# Of such a cluster there are no copies yet.
copy_taken_over() {
  copy_datastore "$(date -u +%Y%m%dT%H%M%SZ)-before" || die "backup: the datastore could not be copied - free some space, or read $LOG"
  rotate '*Z-before' $((BACKUP_KEEP + 1))
}

# Whether all that the device has of the distribution comes from this run, or from earlier ones that came to no end.
first_install() {
  [ ! -e "$APPLIED" ] || return 1
  [ "$(unfinished_distribution)" = "$DISTRIBUTION" ] || [ ! -e "$("${DISTRIBUTION}_folder")" ]
}

# The distribution of a first install that never was committed.
unfinished_distribution() { [ -e "$APPLIED" ] || cat "$PREVIOUS/first" 2>/dev/null || :; }
