# What a timer does on a device that nobody looks at: certificates in time, copies of the datastore, and room on the disk.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
CERTIFICATE_DAYS=120
CERTIFICATES_SEEN=$STATE/certificates

# Certificates come first: where one has ended, the API is not ready and only a restart fixes it. Copies go away last,
# without the lock, and also from a device that is not well: then they are needed most.
maintain() {
  require_root
  write_log
  known_settings || exit 0
  finished && ! locked || exit 0
  resume_restore
  lock
  trap 'rm -f "$LOCK"' EXIT
  trap 'exit 1' HUP INT TERM
  rm -f "$STATE"/.edge-fleet.*
  look_for_damage
  renew_certificates
  if ready; then
    optional "${DISTRIBUTION}_encrypt"
    optional "${DISTRIBUTION}_apply_manifests" || :
    keep_to_windows || :
    back_up || echo "maintain: the datastore could not be copied"
    prune
  else
    echo "maintain: $WHY"
  fi
  bound_logs
  trap - EXIT
  rm -f "$LOCK"
  push_copies
}

# A device that runs for a year without a restart would lose its certificates. https://docs.k3s.io/cli/certificate
renew_certificates() {
  [ -z "$(find "$CERTIFICATES_SEEN" -mtime -30 2>/dev/null)" ] || return 0
  "${DISTRIBUTION}_certificates_expiring" "$CERTIFICATE_DAYS" || { touch "$CERTIFICATES_SEEN" && return 0; }
  echo "maintain: a certificate ends within $CERTIFICATE_DAYS days: restarting $SERVICE"
  OLD_PID=$("${DISTRIBUTION}_main_pid")
  "${DISTRIBUTION}_start"
  await && touch "$CERTIFICATES_SEEN"
  OLD_PID=
}

# Only after a boot that came up with the committed state: until then the former state may be needed, and the shims of
# running pods use the folder of the release that started them.
prune() {
  [ -f "$COMMITTED" ] && [ "$(cat "$COMMITTED")" != "$(boot_id)" ] || return 0
  keep=$(cut -d ' ' -f 1 "$INSTALLED" 2>/dev/null)
  for f in "$STORE"/*; do
    [ -f "$f" ] || continue
    case "
$keep
" in *"
${f##*/}
"*) ;; *) rm -f "$f" ;; esac
  done
  rm -rf "$PREVIOUS"
  "${DISTRIBUTION}_prune"
}
