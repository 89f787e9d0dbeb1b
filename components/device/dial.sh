#!/bin/sh
# One dial of one device: sends the plan that stands on stdin over one SSH connection and prints what became of it as one
# line of JSON. It always ends, within a bound, with exit code 0: what a device does is a result and never an error of the
# command. Run by the engine in the project's folder; $0 is .edge-fleet/<stack>/dial.sh, and everything beside it was
# written by the program in the same run (folder.ts).
set -u
export LC_ALL=C
FOLDER=${0%/*}
ID=$EDGE_FLEET_DEVICE
SECRETS=${EDGE_FLEET_SECRETS-}
BEFORE=${PULUMI_COMMAND_STDOUT-}
unset EDGE_FLEET_SECRETS PULUMI_COMMAND_STDOUT PULUMI_COMMAND_STDERR
PROGRAM='' PAYLOAD='' REMOVE='' SERVER='' READY_SECONDS=300 LIMIT_KIB=0 VERSION=''
LOGIN_SECONDS=60 PATIENT_SECONDS=20 END_SECONDS=1000 SLOWEST_KIB=16
ssh='' watchdog='' work='' logged_in=0 answer='' patience=''

read_plan() {
  while IFS= read -r line; do
    case $line in
      'program: '*) PROGRAM=${line#*: } ;;
      'payload: '*) PAYLOAD=${line#*: } ;;
      'remove: '*) REMOVE=${line#*: } ;;
      'joins: '*) SERVER=${line#*: } ;;
      'release: '*) VERSION=${line#*: } ;;
      'readiness.timeoutSeconds: '*) READY_SECONDS=${line#*: } ;;
      'artifacts.maxKiBPerSecond: '*) LIMIT_KIB=${line#*: } ;;
    esac
  done
}

# The value of a field of the result of the last dial.
before() { printf '%s\n' "$BEFORE" | sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" | head -n 1; }

# Plain text for a JSON string: the last 800 characters of stdin.
plain() { tr -cs '\40-\176' ' ' | tail -c 800 | sed 's/[\\"]/\\&/g'; }

# $1 tells how the dial ended, $2 is text about it, $3 the device's own answer.
result() {
  trap - EXIT HUP INT TERM
  clean_up
  version=$(before version) state=$1
  case ${3-} in
    *'"result":"applied"'* | *'"result":"unchanged"'*) version=$VERSION state=applied ;;
    *'"result":"removed"'*) version='' ;;
  esac
  [ ! -d "$FOLDER/results" ] || printf '%s\n' "$state" >"$FOLDER/results/$ID"
  printf '{"attempt":"%s","end":"%s","text":"%s","version":"%s"%s}\n' \
    "${EDGE_FLEET_ATTEMPT-}" "$1" "$2" "$version" "${3:+,\"answer\":$3}"
  exit 0
}

clean_up() {
  [ -z "$watchdog" ] || kill "$watchdog" 2>/dev/null
  [ -z "$ssh" ] || kill "$ssh" 2>/dev/null
  [ -z "$work" ] || rm -rf "$work"
}

# Ends the connection once the second in $work/end has passed: a device may accept a log-in and then say nothing for ever.
# When a run is cancelled the engine kills this script alone and waits until nobody has its output open: hence exec, since a
# shell keeps a copy of what it redirects for a function, and the look whether this script still lives.
watch() {
  exec </dev/null >/dev/null 2>&1 3>&- 4<&-
  while sleep 5; do
    kill -0 $$ || { kill "$ssh"; exit 0; }
    read -r end <"$work/end" 2>/dev/null || exit 0
    [ "$(date +%s)" -lt "$end" ] || { : >"$work/overdue" && kill "$ssh" && exit 0; }
  done
}

allow_seconds() { echo $(($(date +%s) + $1)) >"$work/end.new" && mv -f "$work/end.new" "$work/end"; }

# The first command on the device, whatever its log-in shell is. As root it says which device program is installed, takes
# another one if it is sent, and hands over to it. One line and without a single quote, since csh takes no other.
# shellcheck disable=SC2016
FIRST='umask 077; p=/usr/local/sbin/edge-fleet-device; s=none; [ -e /var/lib/edge-fleet ] || s=-; if [ -e "$p" ]; then s=$(sha256sum "$p") || exit 1; s=${s%% *}; fi; echo "edge-fleet $s"; read -r w a || exit 1; if [ "$w" = program ]; then t=$(mktemp /run/edge-fleet.XXXXXX) || { echo "edge-fleet: memory: /run is full - restart the device" >&2; exit 1; }; while read -r l && [ "$l" != . ]; do echo "$l"; done | { base64 -d | gzip -dc; } >"$t"; s=$(sha256sum "$t"); if [ "${s%% *}" != "$a" ]; then rm -f "$t"; echo "edge-fleet: program: it arrived damaged or sha256sum, base64, gzip are missing - install coreutils and gzip, or busybox" >&2; exit 1; fi; sh "$t" install >/dev/null || exit 1; rm -f "$t"; fi; exec "$p" serve'
# shellcheck disable=SC2016
AS_ROOT='if [ "$(id -u)" = 0 ]; then exec /bin/sh -c "$1"; fi; exec sudo -n /bin/sh -c "$1"'

connect() {
  command -v ssh >/dev/null 2>&1 || result client "ssh, the client of OpenSSH, is not on PATH"
  umask 077
  work=$FOLDER/work/$ID.$$
  { mkdir -p "$work" && mkfifo "$work/in" "$work/out"; } || result client "$work cannot be written"
  allow_seconds "$LOGIN_SECONDS"
  # shellcheck disable=SC2086
  ssh $patience -F "$FOLDER/hosts/$ID" -T -o ClearAllForwardings=yes -- "$ID" "exec /bin/sh -c '$AS_ROOT' sh '$FIRST'" \
    <"$work/in" >"$work/out" 2>"$work/err" &
  ssh=$!
  exec 3>"$work/in" 4<"$work/out"
  watch &
  watchdog=$!
}

await_log_in() {
  until read_log_in; do
    await_end
    is_slow || report_end
    clean_up
    patience="-o ConnectTimeout=$PATIENT_SECONDS"
    connect
  done
}

# What a log-in shell's own files print comes before the first line of ours.
read_log_in() {
  while IFS= read -r line <&4; do
    case $line in 'edge-fleet '*) logged_in=1 have=${line#* } && return 0 ;; esac
  done
  return 1
}

# The host takes connections, and no SSH server has answered in time: it is not well, or this machine is too busy to see it.
# So it is asked once more and given longer. Behind a jump host a device that is off looks the same, and the client waits
# longer from the start (ssh.ts).
is_slow() {
  [ -z "$patience" ] && [ "$status" = 255 ] && [ ! -e "$work/overdue" ] || return 1
  case $text in *'banner exchange'* | '' | ' ') ! grep -q '^  ProxyCommand ' "$FOLDER/hosts/$ID" ;; *) return 1 ;; esac
}

send_program() {
  if [ "$have" = "$PROGRAM" ]; then echo serve; else
    echo "program $PROGRAM"
    cat "$FOLDER/program"
    echo .
  fi >&3
}

send_payload() {
  echo apply >&3
  { cat "$FOLDER/payloads/$PAYLOAD" && printf '%send\n' "$SECRETS"; } | gzip -9c | base64 >&3
  echo . >&3
}

# $1 SHA-256, $2 bytes that the device has, a multiple of 1024 (or all), $3 its size. A bound on the rate is kept by
# sending that much in each second.
send_artifact() {
  file=${FOLDER%/*}/artifacts/$1
  [ -f "$file" ] || result client "artifact $1 is not in ${file%/*}"
  rate=$LIMIT_KIB
  [ "$rate" != 0 ] || rate=$SLOWEST_KIB
  allow_seconds $((READY_SECONDS + END_SECONDS + ($3 - $2) / 1024 / rate))
  if [ "$LIMIT_KIB" = 0 ]; then tail -c "+$(($2 + 1))" "$file" >&3; else
    block=$(($2 / 1024))
    while [ $((block * 1024)) -lt "$3" ]; do
      dd if="$file" bs=1024 skip="$block" count="$LIMIT_KIB" 2>/dev/null >&3 || break
      block=$((block + LIMIT_KIB))
      sleep 1
    done
  fi
}

converse() {
  allow_seconds $((READY_SECONDS + END_SECONDS))
  while IFS= read -r line <&4; do
    case $line in
      'send '*)
        # shellcheck disable=SC2086
        send_artifact ${line#send }
        ;;
      '{'*) answer=$line ;;
    esac
  done
  await_end
  report_end
}

# The connection is over.
await_end() {
  exec 3>&-
  wait "$ssh"
  status=$?
  ssh=''
  [ -z "$answer" ] || result answer '' "$answer"
  text=$(plain <"$work/err")
}

report_end() {
  how=ssh
  [ ! -e "$work/overdue" ] || how=overdue
  [ "$logged_in" = 0 ] || how=$how-after-log-in
  result "$how" "$status $text"
}

main() {
  trap '' PIPE
  trap 'exit 0' HUP INT TERM
  trap clean_up EXIT
  read_plan
  [ ! -f "$FOLDER/held/$ID" ] || result held "$(plain <"$FOLDER/held/$ID")"
  if [ -n "$SERVER" ] && [ -z "$REMOVE" ] && read -r state 2>/dev/null <"$FOLDER/results/$SERVER" && [ "$state" != applied ]; then
    result waiting "$SERVER"
  fi
  [ "$REMOVE" != retain ] || result answer '' '{"result":"removed","reason":"retained"}'
  connect
  await_log_in
  if [ -z "$REMOVE" ]; then
    send_program
    send_payload
  elif [ "$have" = - ]; then
    result answer '' '{"result":"removed","reason":""}'
  else
    send_program
    echo "remove $ID" >&3
  fi
  converse
}

main
