# Takes a device out of the fleet: the cluster, everything that edge-fleet has put, the device's identity, and last the
# program itself. Running it again after an interruption finishes it.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

# $1 is the device's id, so that a connection which ends at another device erases nothing.
remove() {
  answer_always
  require_root
  if known_settings; then
    [ "$DEVICE" = "${1-}" ] || die "device: this is $DEVICE, not ${1-} - correct its address in the inventory"
    disarm
    lock
    {
      drain
      erase_cluster "$DISTRIBUTION"
    } >>"$LOG" 2>&1 || die "remove: $DISTRIBUTION could not be erased - read $LOG, then run again"
  else
    DEVICE=${1-}
    DISTRIBUTION=$(unfinished_distribution)
    if [ -n "$DISTRIBUTION" ]; then
      disarm
      lock
      erase_cluster "$DISTRIBUTION" >>"$LOG" 2>&1 || die "remove: $DISTRIBUTION could not be erased - read $LOG, then run again"
    fi
  fi
  forget_device
  say "$(report removed '')"
}

# So that workloads end in order; a cluster that does not answer is erased all the same.
drain() {
  # shellcheck disable=SC2086
  timeout 150 $KUBECTL drain "$DEVICE" --ignore-daemonsets --delete-emptydir-data --force --timeout=120s || :
}

erase_cluster() {
  "$1_stop" || :
  "$1_reset"
  for p in $(applied_line 4); do
    case $p in */containerd-shim-*) kill_by_path "$p" ;; esac
    rm -f "$p"
  done
  rm -f "$APPLIED" "$INSTALLED" "$COMMITTED"
  rm -rf "$ENGINE_FOLDER" "$STATE/manifests"
}

remove_units() {
  for unit in $(unit_names); do
    systemctl disable "$unit" >/dev/null 2>&1 || :
    systemctl stop "$unit" >/dev/null 2>&1 || :
    rm -f "$UNITS/$unit"
  done
  systemctl daemon-reload 2>/dev/null || :
  for unit in edge-fleet- $ALL_SERVICES; do systemctl reset-failed "$unit*" 2>/dev/null || :; done
}

remove_scripts() {
  folder=$(cron_folder)
  if [ -n "$folder" ]; then rm -f "$folder/edge-fleet-maintain"; else edit_crontab maintain ''; fi
  edit_crontab window ''
  forget_services edge-fleet-recover
}

forget_device() {
  end_route
  if on_openrc; then remove_scripts; else remove_units; fi
  find "$STATE" -name 'identity.key*' -exec sh -c 'command -v shred >/dev/null && shred -u "$1" || rm -f "$1"' sh {} \; 2>/dev/null || :
  rm -rf "$STATE" "${LOG%/*}" /etc/edge-fleet
  rm -f "$PROGRAM"
}
