# Installed files that change by themselves, as on a worn card. Each is compared with its sum once a day and before a run
# touches anything, and is put back from the store, whose copies are files of their own.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
WHOLE_SEEN=$STATE/whole
DAMAGE=$STATE/damage
UNREPAIRED=$STATE/unrepaired

look_for_damage() {
  [ -z "$(find "$WHOLE_SEEN" -mtime -1 2>/dev/null)" ] || return 0
  repair_installed
  : >"$WHOLE_SEEN"
}

# What cannot be put back makes the next run bring it anew.
repair_installed() {
  rm -f "$UNREPAIRED"
  [ -f "$INSTALLED" ] || return 0
  while read -r sum have path; do
    [ "$(sum_of "$path")" != "$have" ] || continue
    if (put_back) 2>/dev/null; then damage="$path was damaged and was put back"; else
      damage="$path is damaged, and so is its copy"
      : >"$UNREPAIRED"
    fi
    echo "$damage"
    echo "$(date -u +%F): $damage" >"$DAMAGE"
  done <"$INSTALLED"
}

# What is stored is the file itself, or the archive of a shim.
put_back() {
  file=$STORE/$sum whole=$STATE/.edge-fleet.whole mode=0600 url=$file
  case $path in */bin/*) mode=0755 ;; esac
  verify "$sum" "$file" || return 1
  if [ "$sum" = "$have" ]; then cp "$file" "$whole"; else unpack "$whole"; fi
  chmod "$mode" "$whole"
  [ "$(sum_of "$whole")" != "$have" ] || put "$whole" "$path"
  rm -f "$whole"
  [ "$(sum_of "$path")" = "$have" ]
}

damage_finding() {
  [ -n "$(find "$DAMAGE" -mtime -90 2>/dev/null)" ] || return 0
  printf 'damaged-file\twarning\t%s - the disk or the card wears out: replace it\n' "$(cat "$DAMAGE")"
}
