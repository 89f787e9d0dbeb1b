#!/bin/sh
# edge-fleet: edge-0001 becomes k3s v1.36.2+k3s1. Rendered - change the inventory instead.
DEVICE=edge-0001
REGION=tokyo
HASH=813e89699cb2b768f2771b3312f6996d09f45fe27d9904253b9d6605a79075c5
VERSION=v1.36.2+k3s1
ARCH=arm64
SHA256=bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
URL=https://github.com/k3s-io/k3s/releases/download/v1.36.2%2Bk3s1/k3s-arm64
DELIVERY=fetch
NEED_KIB=393216
READY_SECONDS=300
CLOCK_FLOOR=1767225600
BIN=/usr/local/bin/k3s
SERVICE=k3s
UNIT=/etc/systemd/system/k3s.service
CONFIG_DIR=/etc/rancher/k3s
FOREIGN=datastore-endpoint
KUBECTL='/usr/local/bin/k3s kubectl --request-timeout=10s'
DEPLOYMENTS=coredns
LABELS='edge-fleet.dev/model=rpi4-4g edge-fleet.dev/region=tokyo edge-fleet.dev/ring=canary site=shibuya'
PATHS='/etc/sysctl.d/90-edge-fleet.conf /etc/rancher/k3s/psa.yaml /etc/rancher/k3s/audit.yaml /etc/rancher/k3s/config.yaml /etc/rancher/k3s/config.yaml.d/10-labels.yaml /var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-edge-fleet.conf /etc/systemd/system/k3s.service'
LIVE_PATHS=/etc/rancher/k3s/config.yaml.d/10-labels.yaml
FILES_SUM=bffb497e7a75204e0f381b079a65bc340fef6e6c8b84015e822cb031c5198a96
files() {
file 0644 /etc/sysctl.d/90-edge-fleet.conf <<'EOF'
vm.panic_on_oom=0
vm.overcommit_memory=1
kernel.panic=10
kernel.panic_on_oops=1
EOF
file 0600 /etc/rancher/k3s/psa.yaml <<'EOF'
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: PodSecurity
    configuration:
      apiVersion: pod-security.admission.config.k8s.io/v1
      kind: PodSecurityConfiguration
      defaults:
        enforce: restricted
        enforce-version: latest
        audit: restricted
        audit-version: latest
        warn: restricted
        warn-version: latest
      exemptions:
        usernames: []
        runtimeClasses: []
        namespaces:
          - kube-system
          - argocd
EOF
file 0600 /etc/rancher/k3s/audit.yaml <<'EOF'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages:
  - RequestReceived
rules:
  - level: None
    resources:
      - group: ""
        resources:
          - events
          - nodes/status
          - pods/status
      - group: coordination.k8s.io
        resources:
          - leases
      - group: events.k8s.io
        resources:
          - events
  - level: None
    users:
      - system:apiserver
      - system:kube-controller-manager
      - system:kube-scheduler
    verbs: &a1
      - get
      - list
      - watch
  - level: None
    userGroups:
      - system:nodes
    verbs: *a1
  - level: Metadata
    resources:
      - group: ""
        resources:
          - secrets
  - level: None
    verbs: *a1
  - level: Metadata
EOF
file 0600 /etc/rancher/k3s/config.yaml <<'EOF'
node-name: edge-0001
write-kubeconfig-mode: "0600"
disable:
  - traefik
  - servicelb
  - metrics-server
flannel-backend: host-gw
cluster-cidr: 10.42.0.0/16
service-cidr: 10.43.0.0/16
secrets-encryption: true
secrets-encryption-provider: secretbox
protect-kernel-defaults: true
kube-apiserver-arg:
  - admission-control-config-file=/etc/rancher/k3s/psa.yaml
  - audit-policy-file=/etc/rancher/k3s/audit.yaml
  - audit-log-path=/var/lib/rancher/k3s/server/logs/audit.log
  - audit-log-maxsize=10
  - audit-log-maxbackup=3
  - audit-log-maxage=30
  - service-account-extend-token-expiration=false
  - tls-min-version=VersionTLS12
  - event-ttl=15m
kube-controller-manager-arg:
  - terminated-pod-gc-threshold=10
kubelet-arg:
  - streaming-connection-idle-timeout=5m
EOF
file 0600 /etc/rancher/k3s/config.yaml.d/10-labels.yaml <<'EOF'
node-label:
  - edge-fleet.dev/model=rpi4-4g
  - edge-fleet.dev/region=tokyo
  - edge-fleet.dev/ring=canary
  - site=shibuya
EOF
file 0600 /var/lib/rancher/k3s/agent/etc/kubelet.conf.d/50-edge-fleet.conf <<'EOF'
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
evictionHard:
  memory.available: 200Mi
  nodefs.available: 5%
  imagefs.available: 5%
systemReserved:
  cpu: 100m
  memory: 200Mi
kubeReserved:
  cpu: 200m
  memory: 600Mi
maxPods: 30
serializeImagePulls: true
imageGCHighThresholdPercent: 80
imageGCLowThresholdPercent: 70
containerLogMaxSize: 5Mi
containerLogMaxFiles: 2
podPidsLimit: 1024
shutdownGracePeriod: 30s
shutdownGracePeriodCriticalPods: 10s
EOF
file 0644 /etc/systemd/system/k3s.service <<'EOF'
[Unit]
Description=Lightweight Kubernetes
Documentation=https://k3s.io
Wants=network-online.target
After=network-online.target

[Service]
Type=notify
EnvironmentFile=-/etc/default/%N
EnvironmentFile=-/etc/sysconfig/%N
KillMode=process
Delegate=yes
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
TimeoutStartSec=0
Restart=always
RestartSec=5s
ExecStartPre=-/sbin/modprobe br_netfilter
ExecStartPre=-/sbin/modprobe overlay
ExecStartPre=/bin/mkdir -p -m 0700 /var/lib/rancher/k3s/server/logs
ExecStart=/usr/local/bin/k3s server

[Install]
WantedBy=multi-user.target
EOF
}
set -eu
umask 077
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root
STATE=/var/lib/edge-fleet
LOG=/var/log/edge-fleet/apply.log
CGROUP=/sys/fs/cgroup
SYSTEMD=/run/systemd/system
BOOT_ID=/proc/sys/kernel/random/boot_id
POLL=2
LOCK_SECONDS=600
STORE=$STATE/artifacts
STAGE=$STATE/stage
PREVIOUS=$STATE/previous
APPLIED=$STATE/applied
JOURNAL=$STATE/journal
LOCK=$STATE/lock
RUN=$STATE/run/$HASH
STEP=start SWAPPED=0 FORCE=0 CHANGED=0 LOCKED=0 RESULT=failed REASON='' OLD_PID='' SINCE=0
now() { date +%s; }
report() {
  set -- "$1" "$(printf %s "$2" | tr -cs '\40-\176' ' ' | cut -c 1-300 | sed 's/[\\"]/\\&/g')"
  printf '{"device":"%s","result":"%s","hash":"%s","version":"%s","reason":"%s"}\n' "$DEVICE" "$1" "$HASH" "$VERSION" "$2"
}
die() {
  REASON=$*
  exit 1
}
journal() {
  printf '%s\t%s\t%s\n' "$1" "$2" "$(now)" >>"$JOURNAL"
  sync "$JOURNAL"
  echo "$(date -u +%FT%TZ) $1 $2"
}
enter() {
  STEP=$1
  journal "$1" begin
}
alive() { grep -q apply.sh "/proc/${1:-none}/cmdline" 2>/dev/null; }
locked() {
  owner=$(readlink "$LOCK") && [ "${owner#*.}" = "$(cat "$BOOT_ID")" ] && alive "${owner%%.*}"
}
wait_unlocked() {
  while locked; do
    [ "$(now)" -lt "$1" ] || die "locked: run ${owner%%.*} still holds $LOCK - run again later"
    sleep "$POLL"
  done
}
lock() {
  set -- "$$.$(cat "$BOOT_ID")" $(($(now) + LOCK_SECONDS))
  until ln -s "$1" "$LOCK" 2>/dev/null && [ "$(readlink "$LOCK")" = "$1" ]; do
    wait_unlocked "$2"
    rm -f "$LOCK"
  done
  LOCKED=1
}
main_pid() { systemctl show -p MainPID --value "$SERVICE"; }
finished() { case $(tail -n 1 "$JOURNAL" 2>/dev/null) in end* | '') ;; *) return 1 ;; esac }
applied() { [ -f "$APPLIED" ] && read -r applied <"$APPLIED" && [ "$applied" = "$1" ]; }
unchanged() {
  applied "$HASH" && finished &&
    [ "$(echo "${PATHS?}" | xargs cat 2>/dev/null | sha256sum)" = "$FILES_SUM  -" ] &&
    systemctl is-active --quiet "$SERVICE" && [ "$($KUBECTL get --raw=/readyz 2>/dev/null)" = ok ]
}
put() {
  t=${2%/*}/.edge-fleet.${2##*/}
  [ -d "${2%/*}" ] || (umask 022 && mkdir -p "${2%/*}")
  rm -f "$t"
  ln "$1" "$t" 2>/dev/null || cp -p "$1" "$t"
  sync "$t"
  mv -f "$t" "$2"
}
restore() {
  while read -r p; do
    rm -f "${p%/*}/.edge-fleet.${p##*/}"
    if [ ! -e "$PREVIOUS/files$p" ]; then rm -f "$p"; else cmp -s "$PREVIOUS/files$p" "$p" || put "$PREVIOUS/files$p" "$p"; fi
  done <"$PREVIOUS/paths"
}
recover() {
  ! finished || return 0
  if [ -f "$PREVIOUS.new/paths" ]; then
    rm -rf "$PREVIOUS"
    mv "$PREVIOUS.new" "$PREVIOUS"
  fi
  grep -Eq '^(swap|recover|rollback)' "$JOURNAL" || return 0
  if applied "$(head -n 1 "$JOURNAL" | cut -f 2)"; then
    journal end applied
    return 0
  fi
  journal recover begin
  restore
  FORCE=1
}
begin() {
  t=$STATE/.edge-fleet.journal
  printf 'begin\t%s\t%s\n' "$HASH" "$(now)" >"$t"
  [ "$FORCE" = 0 ] || printf 'recover\tend\t%s\n' "$(now)" >>"$t"
  sync "$t"
  mv -f "$t" "$JOURNAL"
}
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
