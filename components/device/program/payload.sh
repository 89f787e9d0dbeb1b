# Reads the payload of one device: data only, line by line, each name, value and path checked against fixed lists, and
# nothing of it evaluated. Whatever is not exactly of the format is refused with its line before anything is changed.
# Format: `edge-fleet 1`, `set NAME value`..., `artifact KIND SHA256 SIZE MODE PATH|- URL|-`..., `file MODE live|restart
# PATH LINES` and its lines..., `end`.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

refuse() { die "payload: line $line_number: $* - run again with edge-fleet of the same release"; }

read_line() {
  line_number=$((line_number + 1))
  IFS= read -r line
}

# Reads file $1; with $2 the files are laid out below that folder with their modes.
payload() {
  PAYLOAD=$1 sink=${2-} line_number=0 part='set' ended=0
  PATHS='' LIVE_PATHS='' ARTIFACTS='' INSTALL_PATHS='' MANIFEST_PATHS='' BIN=''
  reset_settings
  {
    read_line || :
    [ "$line" = 'edge-fleet 1' ] || refuse "it does not begin with edge-fleet 1"
    while [ "$ended" = 0 ]; do
      read_line || refuse "it is cut off"
      payload_line
    done
    ! read_line || refuse "it goes on after its end"
  } <"$1"
  for name in "$DEVICE" "$HASH" "$VERSION" "$DISTRIBUTION" "$SERVICE" "$UNIT" "$KUBECTL"; do
    [ -n "$name" ] || refuse "a required setting is missing"
  done
  RUN=$STATE/run/$HASH
}

payload_line() {
  set -f
  case $line in
    'set '*)
      [ "$part" = set ] || refuse "set after the first file"
      line=${line#set }
      case $line in *' '*) setting "${line%% *}" "${line#* }" ;; *) setting "$line" '' ;; esac
      ;;
    'file '*)
      part='file'
      # shellcheck disable=SC2086
      payload_file $line
      ;;
    'artifact '*)
      part='artifact'
      # shellcheck disable=SC2086
      payload_artifact $line
      ;;
    end) ended=1 ;;
    *) refuse "unknown line" ;;
  esac
  set +f
}

check_mode() { case $1 in 0[0-7][0-7][0-7]) ;; *) refuse "not a mode" ;; esac }

check_number() {
  case $1 in '' | *[!0-9]*) refuse "not a number" ;; esac
  [ "${#1}" -le 12 ] || refuse "too large a number"
}

check_sum() {
  case $1 in *[!0-9a-f]*) refuse "not a SHA-256" ;; esac
  [ "${#1}" = 64 ] || refuse "not a SHA-256"
}

check_path() {
  case $1 in
    *[!A-Za-z0-9_./@+-]* | *//* | */./* | */../* | */. | */.. | */) refuse "not a plain absolute path" ;;
    "$PROGRAM" | "$STATE"/lock | "$STATE"/identity* | "$STATE"/journal | "$STATE"/applied) refuse "this path is not for a payload" ;;
    "$STATE"/settings | "$STATE"/installed | "$STATE"/committed) refuse "this path is not for a payload" ;;
    "$STATE"/stage/* | "$STATE"/previous* | "$STATE"/run/* | "$STATE"/artifacts/* | "$STATE"/backups/*) refuse "this path is not for a payload" ;;
    "$STATE"/engine* | "$STATE"/manifests/applied* | "$STATE"/restor* | "$STATE"/received* | "$STATE"/pushing*) refuse "this path is not for a payload" ;;
    /etc/systemd/?* | /etc/sysctl.d/?* | /etc/modules-load.d/?* | /usr/local/bin/?* | /usr/local/sbin/?*) ;;
    "$STATE"/?* | /etc/edge-fleet/?*) ;;
    *) is_service_script "$1" || { [ -n "$DISTRIBUTION" ] && "${DISTRIBUTION}_has_path" "$1"; } || refuse "this path is not for a payload" ;;
  esac
  case " $PATHS $INSTALL_PATHS " in *" $1 "*) refuse "a path twice" ;; esac
}

payload_file() {
  [ "$#" = 5 ] || refuse "not a file"
  check_mode "$2"
  check_path "$4"
  check_number "$5"
  case $3 in live) LIVE_PATHS="$LIVE_PATHS $4" ;; restart) ;; *) refuse "neither live nor restart" ;; esac
  PATHS="$PATHS${PATHS:+ }$4"
  if [ -z "$sink" ]; then
    copy_lines "$5" >/dev/null
  else
    mkdir -p "$sink${4%/*}"
    copy_lines "$5" >"$sink$4"
    chmod "$2" "$sink$4"
  fi
}

copy_lines() {
  left=$1
  while [ "$left" -gt 0 ]; do
    read_line || refuse "it is cut off in a file"
    printf '%s\n' "$line"
    left=$((left - 1))
  done
}

payload_artifact() {
  [ "$#" = 7 ] || refuse "not an artifact"
  case $2 in binary | shim | images | snap | assertions | manifest) ;; *) refuse "unknown kind of artifact" ;; esac
  check_sum "$3"
  check_number "$4"
  check_mode "$5"
  case $7 in
    *[!A-Za-z0-9_./:@%+,=?\&~-]*) refuse "not a plain URL" ;;
    - | http://?* | https://?*) ;;
    *) refuse "not an http(s) URL" ;;
  esac
  if [ "$6" != - ]; then
    check_path "$6"
    INSTALL_PATHS="$INSTALL_PATHS${INSTALL_PATHS:+ }$6"
  fi
  case $2 in
    binary) BIN=$6 ;;
    manifest) MANIFEST_PATHS="$MANIFEST_PATHS $6" LIVE_PATHS="$LIVE_PATHS $6" ;;
  esac
  ARTIFACTS="$ARTIFACTS$2 $3 $4 $5 $6 $7
"
}
