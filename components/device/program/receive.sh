# Receives from the dial what the payload names and the device neither has nor downloads. For each artifact it prints
# `send SHA256 OFFSET SIZE`, with an offset in whole KiB, reads exactly the rest from stdin, checks the sum and moves the
# file into the store. A connection that breaks leaves the part, and the next dial goes on from there.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

receive_artifacts() {
  mkdir -p "$STORE"
  chmod 700 "$STORE"
  exec 5<&0
  each_artifact receive_one
}

receive_one() {
  [ "$url" = - ] || return 0
  [ "$path" = - ] || ! installed || return 0
  file=$STORE/$sum part=$STORE/$sum.part
  ! verify "$sum" "$file" || return 0
  rm -f "$file"
  have=$(($(size_of "$part") / 1024))
  [ $((have * 1024)) -le "$size" ] || have=0
  [ "$have" != 0 ] || rm -f "$part"
  needed=$(((size / 1024) - have + 1024))
  free=$(df -Pk "$STORE" | awk 'NR == 2 { print $4 }')
  [ "$free" -ge "$needed" ] || die "disk: $STORE has $free KiB free and needs $needed - free some"
  echo "send $sum $((have * 1024)) $size"
  timeout $((600 + size / 16384)) head -c $((size - have * 1024)) <&5 |
    dd of="$part" bs=1024 seek="$have" conv=notrunc 2>/dev/null || die "disk: $part cannot be written - check the disk"
  [ "$(size_of "$part")" = "$size" ] || die "transfer: $(size_of "$part") of $size bytes arrived - run again: it resumes"
  if ! verify "$sum" "$part"; then
    rm -f "$part"
    die "checksum: what arrived of the $kind is not the file of artifacts.lock.yaml - run again"
  fi
  sync "$part"
  mv -f "$part" "$file"
}

size_of() { if [ -f "$1" ]; then wc -c <"$1" | tr -d ' '; else echo 0; fi; }
