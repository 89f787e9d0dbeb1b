# The transaction that makes this device what the header of the rendered script says: apply.ts defines the desired state
# there as variables and the function `files`; these steps decide whether anything has to change, change it behind a
# backup, wait for health, and commit or roll back. stdout carries one JSON line; everything else goes to the log.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

finding() { REASON="$REASON${REASON:+; }$*"; }

preflight() {
  enter preflight
  case $(uname -m) in x86_64) m=amd64 ;; aarch64) m=arm64 ;; *) m=$(uname -m) ;; esac
  [ "$m" = "$ARCH" ] || finding "architecture: $m, the model says $ARCH - correct the model"
  if [ ! -f "$CGROUP/cgroup.controllers" ]; then
    finding "cgroup: no cgroup v2 - boot with systemd.unified_cgroup_hierarchy=1"
  elif ! grep -qw memory "$CGROUP/cgroup.controllers"; then
    finding "memory-cgroup: off - add cgroup_enable=memory to the kernel command line and reboot"
  fi
  [ -d "$SYSTEMD" ] || finding "init: systemd is not running and OpenRC is not supported - use a systemd image"
  [ "$(now)" -ge "$CLOCK_FLOOR" ] || finding "clock: $(date -u +%F) is past - set the clock"
  ! grep -Rqs -- "$FOREIGN" "$CONFIG_DIR" "$UNIT" "$UNIT.env" || finding "datastore: $SERVICE uses $FOREIGN - reinstall the device"
  check_version
  [ -z "$REASON" ] || exit 1
}

check_version() {
  [ -x "$BIN" ] || return 0
  have=$("$BIN" --version 2>/dev/null | sed -n '1s/.* v1\.\([0-9]*\)\..*/\1/p')
  want=${VERSION#v1.}
  want=${want%%.*}
  [ "$want" -ge "${have:=$want}" ] || finding "downgrade: v1.$have to v1.$want - reset the device"
  [ "$want" -le $((have + 1)) ] || finding "minor: v1.$have to v1.$want skips one - go through v1.$((have + 1))"
}

verify() { [ -f "$1" ] && echo "$SHA256  $1" | sha256sum -c - >/dev/null 2>&1; }

stage() {
  enter stage
  rm -rf "$STAGE"
  mkdir -p "$STAGE${BIN%/*}" "$STORE"
  if ! verify "$BIN"; then
    artifact=$STORE/$SHA256
    [ "$(df -Pk "$STORE" | awk 'NR == 2 {print $4}')" -ge "$NEED_KIB" ] || die "disk: under $NEED_KIB KiB free in $STORE - free some"
    verify "$artifact" || obtain
    chown 0:0 "$artifact"
    chmod 755 "$artifact"
    ln "$artifact" "$STAGE$BIN" 2>/dev/null || cp -p "$artifact" "$STAGE$BIN"
  fi
  files
}

file() {
  mkdir -p "$STAGE${2%/*}"
  cat >"$STAGE$2"
  chmod "$1" "$STAGE$2"
}

obtain() {
  if [ "$DELIVERY" = push ]; then
    [ -e "$artifact" ] || die "artifact-missing: $VERSION is not in $STORE - run edge-fleet push $REGION"
    rm -f "$artifact"
    die "checksum: the pushed $VERSION is damaged and was removed - run edge-fleet push $REGION"
  fi
  rm -f "$artifact"
  for n in 1 2 3 4; do
    [ "$n" != 3 ] || rm -f "$artifact.part"
    ! download || break
    [ "$n" != 4 ] || die "download: $URL failed - check the network or the mirror, then run again: it resumes"
    sleep "$POLL"
  done
  if ! verify "$artifact.part"; then
    rm -f "$artifact.part"
    die "checksum: $URL is not the file of artifacts.lock.yaml - check the mirror or run edge-fleet lock"
  fi
  mv -f "$artifact.part" "$artifact"
}

download() {
  if command -v curl >/dev/null; then
    timeout 900 curl -fsSL --connect-timeout 20 -y 60 -Y 500 -C - -o "$artifact.part" "$URL"
  else
    timeout 900 wget -q -T 60 -c -O "$artifact.part" "$URL"
  fi
}

backup() {
  enter backup
  n=$PREVIOUS.new
  rm -rf "$n"
  mkdir -p "$n/files"
  for p in $PATHS "$BIN" "$APPLIED"; do
    if [ -e "$p" ]; then
      mkdir -p "$n/files${p%/*}"
      ln "$p" "$n/files$p" 2>/dev/null || cp -p "$p" "$n/files$p"
    fi
    echo "$p" >>"$n/list"
  done
  mv "$n/list" "$n/paths"
  rm -rf "$PREVIOUS"
  mv "$n" "$PREVIOUS"
}

swap() {
  enter swap
  SWAPPED=1
  rm -f "$APPLIED"
  for p in $PATHS "$BIN"; do
    [ -e "$STAGE$p" ] || continue
    cmp -s "$STAGE$p" "$p" || case " $LIVE_PATHS " in *" $p "*) ;; *) CHANGED=1 ;; esac
    put "$STAGE$p" "$p"
  done
}

# `systemctl restart` of a Type=notify unit blocks until it is ready, without limit: https://github.com/k3s-io/k3s/issues/1356
activate() {
  enter activate
  systemctl enable "$SERVICE"
  [ "$FORCE$CHANGED" != 00 ] || ! systemctl is-active --quiet "$SERVICE" || return 0
  OLD_PID=$(main_pid)
  SINCE=$(date -u +%Y%m%d%H%M%S)
  systemctl restart systemd-sysctl.service || echo "sysctl settings were not all accepted"
  systemctl daemon-reload
  systemctl restart --no-block "$SERVICE"
}

ready() {
  pid=$(main_pid)
  WHY="$SERVICE does not run"
  [ "${pid:-0}" != 0 ] && [ "$pid" != "$OLD_PID" ] || return 1
  WHY="the API is not ready"
  [ "$($KUBECTL get --raw=/readyz 2>/dev/null)" = ok ] || return 1
  WHY="node $DEVICE is not Ready"
  beat=$($KUBECTL get node "$DEVICE" -o 'jsonpath={range .status.conditions[?(@.type=="Ready")]}{.status} {.lastHeartbeatTime}{end}') || return 1
  [ "${beat%% *}" = True ] && [ "$(echo "$beat" | tr -cd 0-9)" -gt "$SINCE" ] || return 1
  for d in $DEPLOYMENTS; do
    WHY="deployment $d is not available"
    case $($KUBECTL -n kube-system get deployment "$d" -o 'jsonpath={.status.availableReplicas}') in '' | 0) return 1 ;; esac
  done
  WHY="the labels were not accepted"
  [ "$STEP" != gate ] || label
}

label() {
  keys=$(sed -n 2p "$PREVIOUS/files$APPLIED" 2>/dev/null) || keys=
  set --
  for l in $LABELS; do set -- "$@" "$l"; done
  for k in $keys; do
    case " $LABELS" in *" $k="*) ;; *) set -- "$@" "$k-" ;; esac
  done
  $KUBECTL label --overwrite node "$DEVICE" "$@"
}

await() {
  end=$(($(now) + READY_SECONDS))
  until ready; do
    [ "$(now)" -lt "$end" ] || return 1
    sleep "$POLL"
  done
}

gate() {
  enter gate
  await || die "not-ready: $WHY after $READY_SECONDS s"
}

commit() {
  enter commit
  { echo "$HASH" && echo "$LABELS" | sed 's/=[^ ]*//g'; } >"$STAGE/applied"
  put "$STAGE/applied" "$APPLIED"
  SWAPPED=0
  for p in "$STORE"/* "$STATE"/run/*; do
    case $p in "$STORE/$SHA256" | "$RUN") ;; *) rm -rf "$p" ;; esac
  done
}

rollback() {
  enter rollback
  CHANGED=0 FORCE=1 RESULT=rolled-back
  if [ -e "$PREVIOUS/files$BIN" ] && [ -e "$PREVIOUS/files$UNIT" ]; then
    restore
    activate
    if await; then finding "back on the previous state"; else
      RESULT=failed
      finding "restored the previous state, but $WHY - read $LOG"
    fi
  else
    systemctl stop "$SERVICE"
    systemctl disable "$SERVICE"
    restore
    systemctl daemon-reload
    finding "removed, nothing was there before"
  fi
}

finish() {
  trap : HUP INT TERM
  trap - EXIT
  set +e
  if [ "$1" = failed ]; then
    REASON=${REASON:-"$STEP: a command failed - read $LOG"}
    [ "$SWAPPED" = 0 ] || rollback
  else
    RESULT=$1
  fi
  if [ "$LOCKED" = 1 ]; then
    rm -rf "$STAGE"
    finished || journal end "$RESULT"
    rm -f "$LOCK"
  fi
  report "$RESULT" "$REASON" >"$RUN/.result"
  mv -f "$RUN/.result" "$RUN/result"
  exit
}

run() {
  trap 'finish failed' EXIT
  trap 'exit 1' HUP INT TERM
  if [ -f "$LOG" ] && [ "$(wc -c <"$LOG")" -gt 262144 ]; then
    tail -c 65536 "$LOG" >"$LOG.new"
    mv -f "$LOG.new" "$LOG"
  fi
  exec </dev/null >>"$LOG" 2>&1
  echo $$ >"$RUN/pid"
  lock
  rm -f "$STATE"/.edge-fleet.*
  recover
  [ "$FORCE" = 1 ] || ! unchanged || finish unchanged
  begin
  preflight
  stage
  backup
  swap
  activate
  gate
  commit
  finish applied
}

detach() {
  if command -v systemd-run >/dev/null; then
    systemd-run --unit=edge-fleet-apply --collect --quiet sh "$RUN/apply.sh" run
  else
    setsid sh "$RUN/apply.sh" run &
  fi </dev/null >>"$LOG" 2>&1
}

say() {
  trap - EXIT
  echo "$1"
  case $1 in *'"result":"applied"'* | *'"result":"unchanged"'*) exit 0 ;; *) exit 1 ;; esac
}

follow() {
  end=$(($(now) + READY_SECONDS + 840))
  dead=0
  until [ -s "$RUN/result" ]; do
    pid='' patience=60
    [ ! -f "$RUN/pid" ] || ! read -r pid <"$RUN/pid" || patience=3
    if alive "$pid"; then dead=0; else dead=$((dead + 1)); fi
    [ "$dead" -lt "$patience" ] || die "interrupted: the run died - run again: it resumes"
    [ "$(now)" -lt "$end" ] || die "running: not done yet - run again: it follows"
    sleep 1
  done
  read -r line <"$RUN/result"
  say "$line"
}

launch() {
  trap 'say "$(report failed "${REASON:-launch: a command failed on the device}")"' EXIT
  trap 'exit 1' HUP INT TERM
  [ "$(id -u)" = 0 ] || die "root: not root - log in as root or allow sudo without a password"
  mkdir -p "$STATE" "${LOG%/*}"
  chmod 700 "$STATE" "${LOG%/*}"
  [ -L "$LOCK" ] || ! unchanged || say "$(report unchanged '')"
  pid=$(cat "$RUN/pid" 2>/dev/null) || pid=
  if ! alive "$pid"; then
    wait_unlocked $(($(now) + LOCK_SECONDS))
    mkdir -p "$RUN"
    rm -f "$RUN/result" "$RUN/pid"
    cp "$0" "$RUN/.apply.sh"
    mv -f "$RUN/.apply.sh" "$RUN/apply.sh"
    chmod 700 "$RUN/apply.sh"
    detach || { sleep 3 && detach; } || die "detach: the run could not be started - read $LOG"
  fi
  follow
}

main() {
  case ${1-} in run) run ;; *) launch ;; esac
}

main "$@"
