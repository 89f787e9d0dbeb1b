# What can be wrong with the copies of the datastore: what sending them needs, how old the last one is, whether they are
# sent, and how long their certificate holds. Only the superuser sees the copies.
# shellcheck shell=sh disable=SC2034,SC2086,SC2154,SC2317,SC2329

check_backup() {
  [ -n "$COPIES" ] || return 0
  [ -z "$PUSH" ] || backup_tools
  [ -r "$STATE/applied" ] || return 0
  backup_age
  [ -z "$PUSH" ] || backup_unsent
  [ -z "$PUSH" ] || backup_recipient
}

# S3 wants the sum of the body signed, which curl does since 7.87: https://github.com/curl/curl/pull/9995
backup_tools() {
  missing=''
  for tool in openssl curl; do
    command -v "$tool" >/dev/null 2>&1 || missing="$missing $tool"
  done
  if [ -n "$missing" ]; then
    found backup-tools error "missing:$missing, with which copies are encrypted and sent - install, or leave out backup.push"
  elif [ "$PUSH" = s3 ]; then
    version=$(curl --version 2>/dev/null | sed -n '1s/^curl \([0-9]*\.[0-9]*\).*/\1/p')
    major=${version%%.*} minor=${version#*.}
    [ "$((${major:-0} * 1000 + ${minor:-0}))" -ge 7087 ] ||
      found backup-tools error "curl ${version:-of an unknown release} cannot sign uploads for S3 - install curl 7.87 or later"
  fi
}

# Twice the interval and two hours: the timer is hourly, and a device may be off for a while.
backup_age() {
  limit=$((COPIES * 2 + 2))
  kept=$(find "$STATE/backups" -mindepth 1 -maxdepth 1 -type d -name '*Z' 2>/dev/null)
  if [ -n "$kept" ]; then
    [ -z "$(find $kept -prune -mmin "-$((limit * 60))")" ] || return 0
  else
    [ -z "$(find "$STATE/applied" -mmin "-$((limit * 60))")" ] || return 0
  fi
  found backup-age warning "no copy of the datastore in $limit h, one is due every $COPIES h - read /var/log/edge-fleet/apply.log on the device"
}

# Right after a copy was made there is nothing to say: it is sent when the timer's run ends.
backup_unsent() {
  url=$(sed -n 's/^set BACKUP_URL //p' "$STATE/settings" 2>/dev/null)
  waiting=0 overdue=''
  for kept in "$STATE"/backups/*Z; do
    [ -d "$kept" ] || continue
    slurp "$kept.sent"
    [ "$LINE" != "$url" ] || continue
    waiting=$((waiting + 1))
    overdue="$overdue$(find "$kept" -prune -mmin +120)"
  done
  slurp "$STATE/backups/unsent"
  [ "$waiting" != 0 ] && [ -n "$overdue$LINE" ] || return 0
  found backup-unsent warning "copies that wait to be sent: $waiting; ${LINE:-none was tried - read /var/log/edge-fleet/apply.log on the device}"
}

backup_recipient() {
  recipient=$ETC/edge-fleet/backup/recipient.pem
  [ -r "$recipient" ] && command -v openssl >/dev/null 2>&1 || return 0
  openssl x509 -noout -checkend 2592000 -in "$recipient" >/dev/null 2>&1 ||
    found backup-recipient warning "its certificate has ended or ends within 30 days, though copies are still encrypted for it - put a new one into backup.push.recipient, and keep the old key"
}
