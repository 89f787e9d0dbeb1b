# Copies of the datastore: made in time, kept in a bounded number, and sent away encrypted where the inventory says so. What
# could not be sent stays, and is sent later. A copy is $BACKUPS/<time>; <time>-before is what a restore has replaced.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
BACKUP_CONFIG=/etc/edge-fleet/backup
PUSHING=$STATE/pushing
UNSENT=$BACKUPS/unsent
PUSH_SECONDS=14400

# Names of the copies, the newest first. $1 is '*Z' for those made in time, '*Z-before' for the others.
copies() {
  [ ! -d "$BACKUPS" ] || find "$BACKUPS" -mindepth 1 -maxdepth 1 -type d -name "$1" | sed 's|.*/||' | sort -r
}

# Copies are named by their time, so that their names sort; a clock that was set back only brings one too many.
back_up() {
  [ "$BACKUP_KEEP" != 0 ] && [ "$BACKUP_HOURS" != 0 ] || return 0
  rm -rf "$BACKUPS"/*.new
  due || return 0
  copy_datastore "$(date -u +%Y%m%dT%H%M%SZ)" || return 1
  rotate '*Z' "$BACKUP_KEEP"
}

due() {
  [ ! -d "$BACKUPS" ] ||
    [ -z "$(find "$BACKUPS" -mindepth 1 -maxdepth 1 -type d -name '*Z' -mmin "-$((BACKUP_HOURS * 60))")" ]
}

# Makes the copy $1, or none where there is no datastore. `about` tells a restore where it belongs. Keys and certificates of
# K0s keep their modes: its API server, which is not root, reads them when they are back.
copy_datastore() {
  copy=$BACKUPS/$1
  [ ! -e "$copy" ] || return 0
  mkdir -p "$BACKUPS" && chmod 700 "$BACKUPS" && rm -rf "$copy.new" && mkdir "$copy.new" || return 1
  "${DISTRIBUTION}_backup_datastore" "$copy.new" || { rm -rf "$copy.new" && return 1; }
  [ -n "$(find "$copy.new" -type f)" ] || { rm -rf "$copy.new" && return 0; }
  copy_engine_secrets "$copy.new" || { rm -rf "$copy.new" && return 1; }
  printf 'device %s\ndistribution %s\nversion %s\n' "$DEVICE" "$DISTRIBUTION" "$("${DISTRIBUTION}_version")" >"$copy.new/about" ||
    { rm -rf "$copy.new" && return 1; }
  find "$copy.new" -type f ! -path '*/pki/*' -exec chmod 600 {} +
  sync
  mv "$copy.new" "$copy"
}

# Keeps the $2 newest copies of the kind $1.
rotate() {
  copies "$1" | tail -n "+$(($2 + 1))" | while read -r old; do
    rm -rf "${BACKUPS:?}/$old" "$BACKUPS/$old.sent" "$BACKUPS/$old".*.cms
  done
}

sent() { [ -n "$BACKUP_URL" ] && [ "$(cat "$BACKUPS/$1.sent" 2>/dev/null)" = "$BACKUP_URL" ]; }

# The newest first: it is what a restore needs. The first failure ends it, since the next copy would fare no better. No run
# of the transaction waits for this: the lock is another one.
push_copies() {
  [ -n "$BACKUP_URL" ] || { rm -f "$BACKUPS"/*.sent "$BACKUPS"/*.cms "$BACKUPS"/*.part "$UNSENT" && return 0; }
  LOCK=$PUSHING
  ! locked || return 0
  lock
  trap 'rm -f "$LOCK"' EXIT
  end=$(($(tick) + PUSH_SECONDS))
  for name in $(copies '*Z'); do
    if sent "$name"; then continue; fi
    [ "$(tick)" -lt "$end" ] || return 0
    push_copy "$name" || { note_unsent "$name" && return 0; }
  done
}

# There is one encrypted file at a time, and it serves every attempt to send its copy to the same recipient.
push_copy() {
  encrypted=$BACKUPS/$1.$(sum_of "$BACKUP_CONFIG/recipient.pem" | cut -c 1-16).cms
  [ -f "$encrypted" ] || encrypt "$1" "$encrypted" || return 1
  send "$encrypted" "$BACKUP_URL/$1.tar.gz.cms" || return 1
  WHY="$BACKUPS cannot be written - free some space"
  echo "$BACKUP_URL" >"$BACKUPS/.sent" && mv -f "$BACKUPS/.sent" "$BACKUPS/$1.sent" || return 1
  rm -f "$encrypted" "$UNSENT"
  echo "backup: $1 was sent"
}

note_unsent() {
  echo "backup: $1 was not sent: $WHY"
  plain "$WHY" 300 >"$UNSENT" || :
}

# CMS (RFC 5652) with AES in CBC: every OpenSSL from 1.0.2 and every LibreSSL reads it. Nothing reaches the disk in clear.
encrypt() {
  rm -f "$BACKUPS"/*.cms "$BACKUPS"/*.part
  WHY="openssl is missing - install it"
  command -v openssl >/dev/null || return 1
  WHY="under twice the size of the copy is free in $BACKUPS - free some space"
  [ "$(df -Pk "$BACKUPS" | awk 'NR == 2 { print $4 }')" -gt $((2 * $(du -sk "$BACKUPS/$1" | cut -f 1))) ] || return 1
  broken=$({
    { tar -C "$BACKUPS" -cf - "$1" || echo tar >&3; } | { gzip -c || echo gzip >&3; } |
      openssl cms -encrypt -binary -stream -outform DER -aes-256-cbc -out "$2.part" "$BACKUP_CONFIG/recipient.pem" || echo openssl >&3
  } 3>&1 >/dev/null)
  WHY="the copy could not be encrypted (${broken% *}) - read $LOG"
  [ -z "$broken" ] && [ -s "$2.part" ] && sync "$2.part" && mv -f "$2.part" "$2"
}

# Sends file $1 to URL $2. The log-in is in a file, since arguments can be read by every process; -q leaves root's .curlrc
# out, and without -L no redirect takes the log-in elsewhere. A signature for S3 covers the sum of the file.
send() {
  WHY="curl is missing - install it" seconds=$PUSH_SECONDS
  command -v curl >/dev/null || return 1
  [ "$LIMIT_KIB" = 0 ] || seconds=$((PUSH_SECONDS + 2 * $(wc -c <"$1") / LIMIT_KIB / 1024))
  set -- -T "$1" "$2"
  ! grep -q '^aws-sigv4' "$BACKUP_CONFIG/curl.conf" || set -- -H "x-amz-content-sha256: $(sum_of "$2")" "$@"
  [ "$LIMIT_KIB" = 0 ] || set -- --limit-rate "${LIMIT_KIB}k" "$@"
  answer=$(timeout "$seconds" curl -q -g -sS -f -K "$BACKUP_CONFIG/curl.conf" --proto =https --connect-timeout 20 -y 60 -Y 100 \
    --retry 2 --retry-delay 5 --retry-max-time 60 -o /dev/null -w 'answer %{http_code}' "$@" 2>&1) && code=0 || code=$?
  explain_upload "$code" "$(printf %s "$answer" | sed -n 's/.*answer \([0-9][0-9]*\).*/\1/p' | tail -n 1)"
}

# $1 is how curl ended, $2 what the server answered. https://curl.se/libcurl/c/libcurl-errors.html
explain_upload() {
  case $1/$2 in
    0/2??) return 0 ;;
    */401 | */403) WHY="the server refuses the log-in ($2) - correct backup.push.username and its secret, or the device's clock" ;;
    */404 | */405 | */409) WHY="the server takes no upload there ($2) - correct backup.push.url" ;;
    */413 | */507) WHY="the server has no room for the copy ($2) - give it some" ;;
    */3??) WHY="the server redirects ($2), where no log-in is taken to - write its real address in backup.push.url" ;;
    */[145]??) WHY="the server answered $2 - read its log" ;;
    6/*) WHY="the server's name is not found - check the DNS of the device and backup.push.url" ;;
    7/* | 28/* | 52/* | 55/* | 56/*) WHY="no connection to the server - it is tried again every hour" ;;
    35/* | 58/* | 60/* | 77/*) WHY="no TLS with the server, or its certificate is not trusted - add its CA to the device's trust store" ;;
    124/* | 143/*) WHY="the upload took longer than $seconds s and was ended - raise artifacts.maxKiBPerSecond" ;;
    *) WHY="curl ended with $1 - see https://curl.se/libcurl/c/libcurl-errors.html" ;;
  esac
  return 1
}

# The copies of this device as one JSON line, the newest first.
backups() {
  answer_always
  require_root
  known_settings || die "settings: no apply has succeeded here yet - run edge-fleet up"
  list=
  for name in $(copies '*Z*'); do
    is_copy_name "$name" || continue
    away=false
    ! sent "$name" || away=true
    list="$list${list:+,}{\"name\":\"$name\",\"kib\":$(du -sk "$BACKUPS/$name" | cut -f 1),\"sent\":$away}"
  done
  why=$(cat "$UNSENT" 2>/dev/null) || why=
  say "{\"edgeFleetBackups\":1,\"device\":\"$DEVICE\",\"url\":\"$BACKUP_URL\",\"unsent\":\"$why\",\"copies\":[$list]}"
}
