#!/bin/sh
# Receives one artifact on the device. Prints one line that says from which byte to send (`send <offset>`) or that nothing
# is missing (`have`), reads the rest from stdin, checks the SHA-256 and moves the file into place.
# The caller prepends the lines SHA256=… and SIZE=… .
set -eu

: "${SHA256:?}" "${SIZE:?}"
ARTIFACTS=${EDGE_FLEET_STATE:-/var/lib/edge-fleet}/artifacts
FILE=$ARTIFACTS/$SHA256
PART=$FILE.part

fail() {
  printf 'edge-fleet: %s\n' "$1" >&2
  exit 1
}

hash_of() {
  sha256sum "$1" | cut -d ' ' -f 1
}

size_of() {
  if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi
}

prepare() {
  command -v sha256sum >/dev/null 2>&1 || fail "sha256sum is missing - install coreutils or busybox"
  mkdir -p "$ARTIFACTS" 2>/dev/null || fail "$ARTIFACTS cannot be made - check that the file system is writable"
  chmod 0700 "${ARTIFACTS%/*}" "$ARTIFACTS"
}

# A file in place whose bytes are wrong (bad flash, power loss) is received anew.
stop_if_present() {
  [ -f "$FILE" ] || return 0
  if [ "$(hash_of "$FILE")" = "$SHA256" ]; then
    echo have
    exit 0
  fi
  rm -f "$FILE"
}

find_offset() {
  offset=$(size_of "$PART")
  if [ "$offset" -gt "$SIZE" ]; then
    rm -f "$PART"
    offset=0
  fi
}

check_space() {
  needed=$(((SIZE - offset) / 1024 + 1024))
  free=$(df -Pk "$ARTIFACTS" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$needed" ] || fail "$ARTIFACTS has $free KiB free, $needed KiB are needed - make room"
}

receive() {
  echo "send $offset"
  cat >>"$PART" || fail "$PART could not be written - check free space"
}

commit() {
  size=$(size_of "$PART")
  [ "$size" -eq "$SIZE" ] || fail "received $size of $SIZE bytes - run again, it resumes"
  if [ "$(hash_of "$PART")" != "$SHA256" ]; then
    rm -f "$PART"
    fail "the received bytes do not have the locked SHA-256 - run again, it starts anew"
  fi
  sync
  mv "$PART" "$FILE"
  sync
  echo stored
}

main() {
  umask 077
  prepare
  stop_if_present
  find_offset
  check_space
  receive
  commit
}

main
