# What a timer does on a device that nobody looks at: certificates in time, copies of the datastore, and room on the disk.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
CERTIFICATE_DAYS=120
CERTIFICATES_SEEN=$STATE/certificates

# Certificates come first: where one has ended, the API is not ready and only a restart mends it.
maintain() {
  require_root
  write_log
  known_settings || exit 0
  finished && ! locked || exit 0
  lock
  trap 'rm -f "$LOCK"' EXIT
  trap 'exit 1' HUP INT TERM
  renew_certificates
  ready || { echo "maintain: $WHY" && exit 0; }
  back_up || echo "maintain: the datastore could not be copied"
  prune
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

# Copies are named by their time, so that their names sort; a clock that was set back only brings one too many.
back_up() {
  [ "$BACKUP_KEEP" != 0 ] && [ "$BACKUP_HOURS" != 0 ] || return 0
  mkdir -p "$BACKUPS"
  chmod 700 "$BACKUPS"
  rm -rf "$BACKUPS"/*.new
  [ -z "$(find "$BACKUPS" -mindepth 1 -maxdepth 1 -type d -mmin "-$((BACKUP_HOURS * 60))")" ] || return 0
  copy=$BACKUPS/$(date -u +%Y%m%dT%H%M%SZ)
  mkdir "$copy.new" || return 1
  "${DISTRIBUTION}_backup_datastore" "$copy.new" || { rm -rf "$copy.new" && return 1; }
  [ -n "$(find "$copy.new" -type f)" ] || { rm -rf "$copy.new" && return 0; }
  find "$copy.new" -type f -exec chmod 600 {} +
  sync
  mv "$copy.new" "$copy"
  find "$BACKUPS" -mindepth 1 -maxdepth 1 -type d | sort -r | tail -n "+$((BACKUP_KEEP + 1))" | while read -r old; do
    rm -rf "$old"
  done
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
