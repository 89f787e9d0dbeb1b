#!/bin/sh
# Stand-in of the loopback lab for the K3s binary, release @VERSION@: a server or an agent that is one sleeping process,
# and the few kubectl requests by which edge-fleet asks for its health. It runs no workloads. An agent talks to no server:
# it keeps its node itself, and answers to its kubelet's kubeconfig alone.
# /run/standin-k3s tells what the running process was started with, and which node was drained.
# A fault comes from its build or from /etc/edge-fleet-lab/fault: `<never-ready|crash|slow|migrate> [release]`.
# shellcheck disable=SC2034,SC2154
set -eu
VERSION='@VERSION@'
FAULT='@FAULT@'
READY_SECONDS='@READY_SECONDS@'
CONFIG=/etc/rancher/k3s
DATA=/var/lib/rancher/k3s
RUN=/run/standin-k3s
KEYS=' node-name node-ip node-label write-kubeconfig-mode disable flannel-backend cluster-cidr service-cidr tls-san
  secrets-encryption secrets-encryption-provider protect-kernel-defaults kube-apiserver-arg kube-controller-manager-arg
  kubelet-arg node-taint token-file agent-token-file server flannel-iface flannel-external-ip node-external-ip
  resolv-conf '

refuse() {
  echo "level=fatal msg=\"$*\"" >&2
  exit 1
}
# @STANDIN@

check_config() {
  node=$(hostname)
  for file in "$CONFIG/config.yaml" "$CONFIG"/config.yaml.d/*.yaml; do
    [ -f "$file" ] || continue
    [ -r "$file" ] || refuse "cannot read $file"
    while IFS= read -r line; do
      case $line in
        [a-z]*:*) ;;
        ' '* | '#'* | '' | '- '*) continue ;;
        *) refuse "$file: not a setting: $line" ;;
      esac
      key=${line%%:*}
      case $KEYS in *[[:space:]]"$key"[[:space:]]*) ;; *) refuse "$file: flag provided but not defined: -$key" ;; esac
      [ "$key" != node-name ] || node=${line#*: }
    done <"$file"
  done
  for argument in admission-control-config-file audit-policy-file; do
    path=$(sed -n "s/^ *- $argument=//p" "$CONFIG/config.yaml" 2>/dev/null || :)
    [ -z "$path" ] || [ -s "$path" ] || refuse "$argument: cannot read $path"
  done
}

# Labels of the configuration act at the first registration only, as on a real node.
register() {
  [ -f "$DB/node" ] && return 0
  cat "$CONFIG"/config.yaml.d/*.yaml "$CONFIG/config.yaml" 2>/dev/null |
    awk '/^[a-z]/ { on = $1 == "node-label:" } on && /^  - / { print $2 }' | sort -u >"$DB/labels"
  : >"$DB/taints"
  echo "$node" >"$DB/node"
}

# One table per shim on the PATH, with single-quoted keys, as K3s writes them.
write_containerd_config() {
  mkdir -p "$DATA/agent/etc/containerd"
  for shim in /usr/local/bin/containerd-shim-*; do
    name=${shim##*/containerd-shim-}
    [ ! -x "$shim" ] || echo "[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.'${name%-v*}']"
  done >"$DATA/agent/etc/containerd/config.toml"
}

# The node's store. $1 server or agent
keep_node_of() {
  role=$1
  case $1 in agent) DB=$DATA/agent/node ;; *) DB=$DATA/server/db ;; esac
}

check_agent() {
  grep -q '^server: https://..*:6443$' "$CONFIG/config.yaml" || refuse "--server is required"
  path=$(sed -n 's/^token-file: //p' "$CONFIG/config.yaml")
  [ -s "$path" ] || refuse "--token is required"
}

open_datastore() {
  [ -f "$DB/state.db" ] || echo "stand-in datastore, made $(date -u +%FT%TZ)" >"$DB/state.db"
  [ "$word" != migrate ] || echo migrated >>"$DB/state.db"
  [ "$word" = migrate ] || ! grep -q migrated "$DB/state.db" || refuse "the datastore is of a newer release"
  (umask 077 && printf 'apiVersion: v1\nkind: Config\nclusters: []\n' >"$CONFIG/k3s.yaml")
}

# $1 server or agent
run_node() {
  keep_node_of "$1"
  check_config
  [ "$role" = server ] || check_agent
  ready_at
  mkdir -p "$DB" "$RUN"
  case $role in
    server) open_datastore ;;
    agent) (umask 077 && printf 'apiVersion: v1\nkind: Config\n' >"$DATA/agent/kubelet.kubeconfig") ;;
  esac
  register
  write_containerd_config
  cksum <"$CONFIG/config.yaml" >"$RUN/config"
  echo "$VERSION" >"$RUN/version"
  echo "$$ $ready $node $role" >"$RUN/server.new"
  mv -f "$RUN/server.new" "$RUN/server"
  exec sleep 2147483647
}

require_ready() {
  pid='' ready=99999999999 node='' role=server
  [ ! -f "$RUN/server" ] || read -r pid ready node role <"$RUN/server" || :
  keep_node_of "${role:-server}"
  [ -z "$kubeconfig" ] || [ -r "$kubeconfig" ] || refuse "stat $kubeconfig: no such file or directory"
  [ "$role" != agent ] || [ -n "$kubeconfig" ] || refuse "dial tcp 127.0.0.1:8080: connect: connection refused"
  grep -q sleep "/proc/${pid:-none}/cmdline" 2>/dev/null && [ "$(date +%s)" -ge "$ready" ] && return 0
  echo "The connection to the server 127.0.0.1:6443 was refused" >&2
  exit 1
}

json_labels() { sed 's/\(.*\)=\(.*\)/"\1":"\2"/' "$DB/labels" | paste -s -d , -; }

get_node() {
  require_node "$1"
  heartbeat=$(date -u +%FT%TZ)
  case $output in
    '') printf 'NAME STATUS ROLES AGE VERSION\n%s Ready control-plane 1m %s\n' "$1" "$VERSION" ;;
    jsonpath=*lastHeartbeatTime*) echo "True $heartbeat" ;;
    jsonpath=*kubeletVersion*) echo "$VERSION" ;;
    jsonpath=*spec.taints*) node_taints ;;
    json)
      printf '{"kind":"Node","metadata":{"name":"%s","labels":{%s}},"status":{"nodeInfo":{"kubeletVersion":"%s"},' \
        "$1" "$(json_labels)" "$VERSION"
      printf '"conditions":[{"type":"Ready","status":"True","lastHeartbeatTime":"%s"}]}}\n' "$heartbeat"
      ;;
    *) refuse "the stand-in has no output $output for a node" ;;
  esac
}

get_deployment() {
  [ "$role" = server ] || refuse "deployments.apps \"$1\" is forbidden: User \"system:node:$node\""
  [ "$1" = coredns ] || refuse "deployments.apps \"$1\" not found"
  case $output in jsonpath=*availableReplicas*) echo 1 ;; *) echo "coredns 1/1 1 1 1m" ;; esac
}

kubectl() {
  output=
  words=
  kubeconfig=
  while [ "$#" -gt 0 ]; do
    case $1 in
      --raw=/readyz) require_ready; echo ok; exit 0 ;;
      -o) output=$2; shift ;;
      --kubeconfig) kubeconfig=$2; shift ;;
      -n) shift ;;
      --* | -o=*) ;;
      *) words="$words $1" ;;
    esac
    shift
  done
  # shellcheck disable=SC2086
  set -- $words
  require_ready
  case "${1-} ${2-}" in
    'get node' | 'get nodes') get_node "${3-$node}" ;;
    'label node') shift 2; mark_node labels "$@" ;;
    'taint node') shift 2; mark_node taints "$@" ;;
    'drain '*) require_node "$2"; echo "$2" >"$RUN/drained"; echo "node/$2 drained" ;;
    'get deployment' | 'get deploy') get_deployment "${3-}" ;;
    'rollout status') echo "deployment \"coredns\" successfully rolled out" ;;
    *) refuse "the stand-in does not answer: kubectl $*" ;;
  esac
}

case ${1-} in
  --version) printf 'k3s version %s (stand-in)\ngo version go1.26.0\n' "$VERSION" ;;
  server | agent) run_node "$1" ;;
  certificate) echo "STATUS: OK" ;;
  check-config) check_config && echo "STATUS: pass" ;;
  kubectl) shift && kubectl "$@" ;;
  *) refuse "the stand-in has no command ${1-}" ;;
esac
