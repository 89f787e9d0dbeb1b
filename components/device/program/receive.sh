# Receives artifacts into the store, one after the other. For each one it prints that nothing is missing (`have SHA256`) or
# from which byte to send (`send SHA256 OFFSET`), reads exactly the rest from stdin, checks the sum, moves the file into
# place and prints `stored SHA256`; in the end `done`. The sender waits for each request. `edge-fleet push` runs this part
# alone too, on devices whose program lacks it.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

# Arguments are SHA256:SIZE:PATH; PATH is where the artifact is installed as it is, else empty.
receive_artifacts() {
  receive_needed=1024
  receive_prepare
  for receive_item; do
    receive_read "$receive_item"
    receive_check
  done
  receive_space
  for receive_item; do
    receive_read "$receive_item"
    receive_there || receive_one
  done
  echo "done"
}

receive_fail() {
  printf 'edge-fleet: %s\n' "$1" >&2
  exit 1
}

receive_prepare() {
  umask 077
  command -v sha256sum >/dev/null 2>&1 || receive_fail "sha256sum is missing - install coreutils or busybox"
  mkdir -p "$STORE" 2>/dev/null || receive_fail "$STORE cannot be made - check that the file system is writable"
  chmod 0700 "${STORE%/*}" "$STORE"
}

# The caller may be a user whose only right is this program, so nothing of an argument is believed.
receive_read() {
  sum=${1%%:*}
  size=${1#*:}
  installed=${size#*:}
  size=${size%%:*}
  case $sum in '' | *[!0-9a-f]*) receive_fail "not an artifact: $1" ;; esac
  case $size in '' | *[!0-9]* | ?????????????*) receive_fail "not an artifact: $1" ;; esac
  [ "${#sum}" -eq 64 ] || receive_fail "not an artifact: $1"
  file=$STORE/$sum
  part=$file.part
}

receive_sum() { sha256sum "$1" | cut -d ' ' -f 1; }

receive_size() { if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi; }

# A file in place whose bytes are wrong (bad flash, power loss) is received anew.
receive_check() {
  if [ -f "$file" ] && [ "$(receive_sum "$file")" = "$sum" ]; then
    receive_have="${receive_have-} $sum"
  else
    rm -f "$file"
    if [ -f "$installed" ] && [ "$(receive_sum "$installed")" = "$sum" ]; then
      receive_have="${receive_have-} $sum"
    fi
  fi
  if receive_there; then
    echo "have $sum"
    return 0
  fi
  [ "$(receive_size "$part")" -le "$size" ] || rm -f "$part"
  receive_needed=$((receive_needed + (size - $(receive_size "$part")) / 1024 + 1))
}

receive_there() { case "${receive_have-} " in *" $sum "*) ;; *) return 1 ;; esac }

receive_space() {
  free=$(df -Pk "$STORE" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$receive_needed" ] || receive_fail "$STORE has $free KiB free, $receive_needed KiB are needed - make room"
}

receive_one() {
  offset=$(receive_size "$part")
  echo "send $sum $offset"
  if [ "$offset" -lt "$size" ]; then
    head -c "$((size - offset))" >>"$part" || receive_fail "$part could not be written - check free space"
  fi
  received=$(receive_size "$part")
  [ "$received" -eq "$size" ] || receive_fail "received $received of $size bytes - run again, it resumes"
  if [ "$(receive_sum "$part")" != "$sum" ]; then
    rm -f "$part"
    receive_fail "the received bytes do not have the locked SHA-256 - run again, it starts anew"
  fi
  sync
  mv -f "$part" "$file"
  sync
  receive_have="${receive_have-} $sum"
  echo "stored $sum"
}
