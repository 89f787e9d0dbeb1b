# Makes everything ready beside the running system: artifacts from the store or the network, each checked before use, and
# the files of the payload, all below $STAGE under their final paths.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

verify() { [ -f "$2" ] && echo "$1  $2" | sha256sum -c - >/dev/null 2>&1; }

sum_of() { sha256sum "$1" 2>/dev/null | cut -d ' ' -f 1; }

# Calls $1 for each artifact of the payload with kind, sum, size, mode, path and url set.
each_artifact() {
  while read -r kind sum size mode path url; do
    [ -z "$kind" ] || "$1"
  done <<END
$ARTIFACTS
END
}

# Prints the files of the store that hold the artifacts of a kind, in the payload's order.
stored() {
  wanted=$1
  each_artifact stored_one
}

stored_one() { [ "$kind" != "$wanted" ] || echo "$STORE/$sum"; }

stage() {
  enter stage
  SPACE_CHECKED=0
  repair_installed
  rm -rf "$STAGE"
  mkdir -p "$STAGE" "$STORE"
  drop_unwanted_parts
  each_artifact stage_artifact
  payload "$RUN/payload" "$STAGE"
  optional "${DISTRIBUTION}_validate"
}

stage_artifact() {
  if [ "$path" = - ]; then
    obtain
  elif ! installed; then
    obtain
    mkdir -p "$STAGE${path%/*}"
    if [ "$kind" = shim ]; then unpack "$STAGE$path"; else
      chown 0:0 "$file"
      chmod "$mode" "$file"
      cp -p "$file" "$STAGE$path"
    fi
  fi
}

# What was left of files that the payload no longer names would lie there for ever.
drop_unwanted_parts() {
  for part in "$STORE"/*.part; do
    name=${part##*/}
    case $ARTIFACTS in *" ${name%.part} "*) ;; *) rm -f "$part" ;; esac
  done
}

# A shim is installed unpacked, so what the archive's sum came to is remembered.
installed() {
  case $kind in
    shim) grep -qxF "$sum $(sum_of "$path") $path" "$INSTALLED" 2>/dev/null ;;
    *) verify "$sum" "$path" ;;
  esac
}

# The one member of the archive that has the shim's name; nothing else of it reaches the disk.
unpack() {
  member=$(tar -tzf "$file" | awk -v name="${path##*/}" '{ m = $0; sub(/.*\//, "", m) } m == name { print; exit }')
  case $member in '' | -*) die "shim: ${path##*/} is not in $url - correct artifacts.lock.yaml" ;; esac
  tar -xzOf "$file" "$member" >"$1"
  [ -s "$1" ] || die "shim: ${path##*/} is empty in $url - correct artifacts.lock.yaml"
  chmod "$mode" "$1"
}

obtain() {
  file=$STORE/$sum
  ! verify "$sum" "$file" || return 0
  require_space
  if [ "$url" = - ]; then
    [ -e "$file" ] || die "artifact-missing: the $kind of $VERSION is not in $STORE - run pulumi up again"
    rm -f "$file"
    die "checksum: the pushed $kind of $VERSION is damaged and was removed - run pulumi up again"
  fi
  fetch
}

require_space() {
  [ "$SPACE_CHECKED" = 0 ] || return 0
  SPACE_CHECKED=1
  free=$(df -Pk "$STORE" | awk 'NR == 2 { print $4 }')
  [ $((free + $(parts_kib))) -ge "$NEED_KIB" ] || die "disk: under $NEED_KIB KiB free in $STORE - free some"
}

# The third attempt starts anew: a part of another file would otherwise be resumed for ever. A run that a boot has started
# is earlier than the network, and has until BOOT_END.
fetch() {
  rm -f "$file"
  attempt=0
  while :; do
    attempt=$((attempt + 1))
    [ "$attempt" != 3 ] || rm -f "$file.part"
    resumed=0
    [ ! -s "$file.part" ] || resumed=1
    failed=0
    download || failed=$?
    [ -s "$file.part" ] || rm -f "$file.part"
    ! too_big || continue
    [ "$failed" != 0 ] || break
    [ "$attempt" -lt 4 ] || [ "$(tick)" -lt "$BOOT_END" ] || die "$(why_no_download)"
    sleep "$POLL"
  done
  if ! verify "$sum" "$file.part"; then
    rm -f "$file.part"
    die "checksum: $url is not the file of artifacts.lock.yaml - check the mirror or run edge-fleet lock"
  fi
  mv -f "$file.part" "$file"
}

# In the words of curl or wget. By a wrong clock the certificate of every server has ended or is yet to begin.
why_no_download() {
  printf 'download: %s failed (%s) by the clock %s - check the network, the mirror and the clock, then run again: it resumes\n' \
    "$url" "$(printf %s "${words:-no answer in time}" | tr -s '\n ' ' ' | cut -c 1-200)" "$(date -u +%FT%TZ)"
}

# What has more bytes than the lock says is not the file, and may be without an end. Behind a part it may be the part's fault.
too_big() {
  [ "$size" != 0 ] && [ -f "$file.part" ] && [ "$(wc -c <"$file.part")" -gt "$size" ] || return 1
  rm -f "$file.part"
  [ "$resumed" = 1 ] || die "size: $url sends more than the $size bytes of artifacts.lock.yaml - check the mirror or run edge-fleet lock"
}

# A bound on the rate stretches the time that a download may take.
download() {
  seconds=900
  [ "$LIMIT_KIB" = 0 ] || seconds=$((900 + 2 * size / LIMIT_KIB / 1024))
  if command -v curl >/dev/null; then
    set -- curl -fsSL --connect-timeout 20 -y 60 -Y 500 -C - -o "$file.part"
    [ "$LIMIT_KIB" = 0 ] || set -- "$@" --limit-rate "${LIMIT_KIB}k"
  else
    set -- wget -c -O "$file.part"
    if wget_knows --no-verbose; then set -- "$@" --no-verbose; else set -- "$@" -q; fi
    ! wget_knows -T || set -- "$@" -T 60
    [ "$LIMIT_KIB" = 0 ] || ! wget_knows --limit-rate || set -- "$@" "--limit-rate=${LIMIT_KIB}k"
  fi
  bounded timeout "$seconds" "$@" "$url"
}

# Runs a command whose files cannot grow beyond the artifact's size, nor beyond the room that was asked for where the lock
# tells no size: in blocks of 512 bytes, as ulimit counts. Its words go through a pipe, since the log is a file as well.
bounded() {
  blocks=$((size / 512 + 1))
  [ "$size" != 0 ] || blocks=$((NEED_KIB * 2))
  words=$(ulimit -f "$blocks" && "$@" 2>&1) && return
  set -- "$?"
  [ -z "$words" ] || echo "$words"
  return "$1"
}

# That of busybox crashes by options that it was built without.
wget_knows() { wget --help 2>&1 | grep -q -- "$1"; }
