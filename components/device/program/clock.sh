# The device's clock against the time of the server from which it downloads, which every answer of a server tells. A cluster
# that is first started by a wrong clock has certificates that do not hold, and TLS fails by it as if the network did.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
SERVER_TOLERANCE=600

# Once a run, before anything comes from $url. Stops a device that has no cluster yet; others only say so.
compare_clock() {
  [ "$url" != - ] && [ "$CLOCK_COMPARED" = 0 ] || return 0
  CLOCK_COMPARED=1 CLOCK_AGREES=0 CLOCK_WARNING=
  told=$(server_time)
  [ -n "$told" ] || return 0
  judge_clock
}

# By the finding of preflight, also after its wait for the time service, with the server as the witness.
judge_clock() {
  preflight_settings
  EDGE_FLEET_NOW=$told CLOCK_TOLERANCE=$SERVER_TOLERANCE CLOCK_WITNESS=$(server_name) BEFORE_START=error
  ! started || BEFORE_START=warning
  compared=$(check_clock)
  case $compared in
    '') CLOCK_AGREES=1 ;;
    *'	error	'*) die "clock: ${compared##*	}" ;;
    *)
      CLOCK_WARNING=${compared##*	}
      echo "warning: clock: $CLOCK_WARNING"
      ;;
  esac
}

server_name() {
  name=${url#*://}
  name=${name%%/*}
  echo "${name##*@}"
}

# What the server of $url says before a body. Its certificate is not checked: by a wrong clock none is valid, and the time is
# compared and never taken over. Not every busybox has a timeout of its own, and some crash by the option.
server_headers() {
  if command -v curl >/dev/null; then
    curl -skI --connect-timeout 20 -m 30 "$url" </dev/null 2>/dev/null
  else
    timeout 30 wget -S --spider --no-check-certificate -O /dev/null "$url" </dev/null 2>&1
  fi || :
}

# The server's time in seconds, empty where it tells none. A cache tells the time of its copy, and the copy's age (RFC 9111).
server_time() {
  server_headers | awk '
    { sub(/\r$/, ""); sub(/^ +/, ""); name = tolower($1) }
    name ~ /^http\// { if (date != "") exit; age = 0 }
    name == "date:" && NF == 7 && $7 == "GMT" { date = $0 }
    name == "age:" && $2 ~ /^[0-9]+$/ { age = $2 }
    END {
      if (split(date, part, " ") != 7 || split(part[6], clock, ":") != 3) exit
      month = index("JanFebMarAprMayJunJulAugSepOctNovDec", part[4])
      if (length(part[4]) != 3 || month % 3 != 1 || part[5] !~ /^[0-9][0-9][0-9][0-9]$/) exit
      month = (month + 2) / 3; year = part[5] + 0
      if (month < 3) { month += 12; year-- }
      days = 365 * year + int(year / 4) - int(year / 100) + int(year / 400) + int((153 * (month - 3) + 2) / 5) + part[3] - 719469
      printf "%.0f\n", days * 86400 + clock[1] * 3600 + clock[2] * 60 + clock[3] + age
    }'
}

# Why nothing came from $url, when nothing did: by a wrong clock the certificate of every server has ended or is yet to begin.
why_no_download() {
  case $url in https:*) ;; *) CLOCK_WARNING='' ;; esac
  if [ -n "$CLOCK_WARNING" ]; then
    echo "clock: $CLOCK_WARNING"
  elif ! certificate_out_of_date; then
    echo "download: $url failed - check the network or the mirror, then run again: it resumes"
  elif [ "$CLOCK_AGREES" = 1 ]; then
    echo "certificate: that of $(server_name) has ended, or is yet to begin, and the clock is right - renew it on the server, then run again"
  else
    echo "clock: the certificate of $(server_name) has ended, or is yet to begin, by the clock, which says $(utc "$(now)") - set it (timedatectl set-time, date -s, or an NTP server that the device reaches) and run again, or renew the certificate where the clock is right"
  fi
}

# The words of OpenSSL, GnuTLS, mbedTLS and wolfSSL, as curl and wget repeat them; those that busybox hides, from openssl.
certificate_out_of_date() {
  case $url in https:*) ;; *) return 1 ;; esac
  if command -v curl >/dev/null; then
    curl -sSI --connect-timeout 20 -m 30 -o /dev/null "$url" </dev/null 2>&1
  else
    timeout 30 wget --spider -O /dev/null "$url" </dev/null 2>&1 || :
    name=$(server_name)
    case ${name##*]} in *:*) ;; *) name=$name:443 ;; esac
    ! command -v openssl >/dev/null || timeout 30 openssl s_client -connect "$name" -servername "${name%:*}" </dev/null 2>&1
  fi | grep -Eiq 'expired|not yet (valid|activated)|not activated|expiration date has passed|starts in the future|BADCERT_FUTURE|date error'
}
