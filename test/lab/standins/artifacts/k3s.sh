#!/bin/sh
# Stand-in of the loopback lab for the K3s binary, release @VERSION@: a server or an agent that is one sleeping process,
# and the few kubectl requests by which edge-fleet asks for its health. It runs no workloads. An agent talks to no server:
# it keeps its node itself, in $SITE what a server would know of it, and answers to its kubelet's kubeconfig alone.
# /run/standin-k3s tells what the running process was started with, and which node was drained.
# A fault comes from its build or from /etc/edge-fleet-lab/fault: `<never-ready|crash|slow|migrate> [release]`.
# What it claims of K3s is written beside it, as file and function of k3s-io/k3s, read at v1.33.0+k3s1 and v1.36.2+k3s1, which
# agree where no release is named. The datastore is a text; the words of the API are its own.
# shellcheck disable=SC2034,SC2154
set -eu
VERSION='@VERSION@'
FAULT='@FAULT@'
READY_SECONDS='@READY_SECONDS@'
CONFIG=/etc/rancher/k3s
DATA=/var/lib/rancher/k3s
SERVER=$DATA/server
MANIFESTS=$SERVER/manifests
RUN=/run/standin-k3s
SITE=/var/lib/standin-k3s-site
NODE_PASSWORD=/etc/rancher/node/password

log() { echo "time=\"$(date -u +%FT%TZ)\" level=$1 msg=\"$2\"" >&2; }

refuse() {
  log fatal "$*"
  exit 1
}
# @STANDIN@

# pkg/cli/cmds/server.go and agent.go: names, and the variables of those that have one.
KEYS=' node-name node-ip node-label write-kubeconfig-mode disable flannel-backend cluster-cidr service-cidr tls-san
  secrets-encryption secrets-encryption-provider protect-kernel-defaults kube-apiserver-arg kube-controller-manager-arg
  kubelet-arg node-taint token token-file agent-token agent-token-file server flannel-iface flannel-external-ip
  node-external-ip resolv-conf data-dir datastore-endpoint cluster-init '
variable_of() {
  case $1 in
    node-name | token | token-file | agent-token | agent-token-file | data-dir | datastore-endpoint | cluster-init)
      echo "K3S_$(echo "$1" | tr '[:lower:]-' '[:upper:]_')"
      ;;
    server) echo K3S_URL ;;
  esac
}

# The flags of the command line, one a line as name=value, in FLAGS.
read_flags() {
  FLAGS=
  while [ "$#" -gt 0 ]; do
    flag=${1#--}
    case $1 in
      --*=*) ;;
      --*) case ${2--} in -*) flag=$flag=true ;; *) flag=$flag=$2 && shift ;; esac ;;
      *) refuse "flag provided but not defined: $1" ;;
    esac
    case $KEYS in *[[:space:]]"${flag%%=*}"[[:space:]]*) ;; *) refuse "flag provided but not defined: -${flag%%=*}" ;; esac
    FLAGS="$FLAGS
$flag"
    shift
  done
}

# A setting's value: a flag beats a variable, as everywhere in urfave/cli, and what the files say stands before the flags; the
# last file that has a key counts. pkg/configfilearg/parser.go, Parse and readConfigFile
setting() {
  value=$(cat "$CONFIG/config.yaml" "$CONFIG"/config.yaml.d/*.yaml 2>/dev/null | sed -n "s/^$1: *//p" | tail -n 1 | tr -d "\"'")
  name=$(variable_of "$1")
  [ -n "$value" ] || [ -z "$name" ] || value=$(printenv "$name") || :
  flagged=$(echo "$FLAGS" | sed -n "s/^$1=//p" | tail -n 1)
  echo "${flagged:-$value}"
}

# A key of a file that no flag has is skipped with a warning: pkg/configfilearg/parser.go, stripInvalidFlags. Here it ends the
# start, since edge-fleet must write none.
check_config() {
  for file in "$CONFIG/config.yaml" "$CONFIG"/config.yaml.d/*.yaml; do
    [ -f "$file" ] || continue
    while IFS= read -r line; do
      case $line in
        [a-z]*:*) ;;
        ' '* | '#'* | '' | '- '* | '---') continue ;;
        *) refuse "$file: not a setting: $line" ;;
      esac
      key=${line%%:*}
      case $KEYS in *[[:space:]]"$key"[[:space:]]*) ;; *) refuse "$file: flag provided but not defined: -$key" ;; esac
    done <"$file"
  done
  [ -z "$(setting data-dir)" ] || refuse "the stand-in has no other data-dir"
  [ -z "$(setting datastore-endpoint)" ] || refuse "the stand-in has no datastore-endpoint"
  for argument in admission-control-config-file audit-policy-file; do
    path=$(sed -n "s/^ *- $argument=//p" "$CONFIG/config.yaml" 2>/dev/null || :)
    [ -z "$path" ] || [ -s "$path" ] || refuse "$argument: cannot read $path"
  done
}

# Without node-name it is the host's, in lower case: pkg/util/net.go, GetHostnameAndIPs.
node_name() {
  node=$(setting node-name)
  [ -n "$node" ] || node=$(hostname | tr '[:upper:]' '[:lower:]')
}

# Labels of the configuration act at the first registration only, as on a real node.
register() {
  [ -f "$DB/node" ] && return 0
  cat "$CONFIG"/config.yaml.d/*.yaml "$CONFIG/config.yaml" 2>/dev/null |
    awk '/^[a-z]/ { on = $1 == "node-label:" } on && /^  - / { print $2 }' | sort -u >"$DB/labels"
  : >"$DB/taints"
  echo "$node" >"$DB/node"
}

# One table per shim on the PATH, with single-quoted keys: pkg/agent/templates/templates.go, ContainerdConfigTemplateV3.
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
  case $1 in agent) DB=$DATA/agent/node ;; *) DB=$SERVER/db ;; esac
}

# @K3S_BOOTSTRAP@

# The key with which Secrets are written now, or plain.
encryption_key() {
  if [ "$(cat "$RUN/encrypts")" = true ]; then sed 's/.*"secret":"\([^"]*\)".*/\1/' "$SERVER/cred/encryption-config.json"; else echo plain; fi
}

# Lines `secret <name> <key>` of the datastore: what no provider of the API server can read is an error.
check_secrets() {
  key=$(encryption_key)
  sed -n 's/^secret //p' "$DB/state.db" | while read -r name with; do
    [ "$with" = plain ] || [ "$with" = "$key" ] ||
      { echo "Error from server (InternalError): Internal error occurred: unable to transform key \"/registry/secrets/default/$name\": no matching key was found for the provided Secretbox transformer" >&2 && exit 1; }
  done
}

# pkg/server/handlers/secrets-encrypt.go, encryptionRotateKeys: a new key, every Secret rewritten, the bootstrap data saved.
rotate_keys() {
  keep_node_of server
  read -r encrypts <"$RUN/encrypts"
  new_encryption_key reencrypt_finished
  rewrite_secrets
  save_bootstrap "$(cat "$SERVER/token")"
}

rewrite_secrets() { sed -i "s/^\(secret [^ ]*\) .*/\1 $(encryption_key)/" "$DB/state.db"; }

# pkg/cluster/cluster.go, Start and Save: the bootstrap data is written once. pkg/server/server.go, printTokens, comes after it.
# pkg/cluster/managed.go, assignManagedDriver, and pkg/etcd/etcd.go, walDir: cluster-init makes etcd of it.
open_datastore() {
  [ -f "$DB/state.db" ] || echo "stand-in datastore, made $(date -u +%FT%TZ)" >"$DB/state.db"
  [ -z "$(setting cluster-init)" ] || mkdir -p "$DB/etcd/member/wal"
  [ "$word" != migrate ] || echo migrated >>"$DB/state.db"
  [ "$word" = migrate ] || ! grep -q migrated "$DB/state.db" || refuse "the datastore is of a newer release"
  token=$(setting token)
  [ -n "$token" ] || token=$(cat "$SERVER/token" 2>/dev/null) || token=
  encrypts=$(setting secrets-encryption)
  echo "${encrypts:-false}" >"$RUN/encrypts"
  [ -z "$token" ] || reconcile "$token"
  generate
  grep -q '^bootstrap ' "$DB/state.db" || save_bootstrap "$server_password"
  [ -s "$SERVER/token" ] ||
    (umask 077 && echo "K10$(sha256sum <"$SERVER/tls/server-ca.crt" | cut -d ' ' -f 1)::server:$server_password" >"$SERVER/token")
  (umask 077 && printf 'apiVersion: v1\nkind: Config\nclusters: []\n' >"$CONFIG/k3s.yaml")
}

# pkg/cli/agent/agent.go, Run: both are required.
check_agent() {
  case $(setting server) in https://?*:6443) ;; *) refuse "--server is required" ;; esac
  path=$(setting token-file)
  if [ -n "$path" ]; then [ -s "$path" ]; else [ -n "$(setting token)" ]; fi || refuse "--token is required"
}

# The server knows a node by the password that it came with first, which an agent makes once, and waits for ever where it is
# another one. pkg/agent/config/config.go, Get, Request and ensureNodePassword; pkg/nodepassword
join_site() {
  mkdir -p "$SITE/$node" "${NODE_PASSWORD%/*}"
  [ -s "$NODE_PASSWORD" ] || (umask 077 && random >"$NODE_PASSWORD")
  [ -f "$SITE/$node/password" ] || cp "$NODE_PASSWORD" "$SITE/$node/password"
  cmp -s "$NODE_PASSWORD" "$SITE/$node/password" && return 0
  ready=99999999999
  log info "Waiting to retrieve agent configuration; server is not ready: Node password rejected, duplicate hostname or contents of '$NODE_PASSWORD' may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag"
}

# $1 server or agent, then its flags
run_node() {
  keep_node_of "$1"
  shift
  read_flags "$@"
  check_config
  node_name
  [ "$role" = server ] || check_agent
  ready_at
  mkdir -p "$DB" "$RUN" "$CONFIG"
  case $role in
    server) open_datastore ;;
    agent)
      join_site
      (umask 077 && printf 'apiVersion: v1\nkind: Config\n' >"$DATA/agent/kubelet.kubeconfig")
      ;;
  esac
  register
  write_containerd_config
  cksum <"$CONFIG/config.yaml" >"$RUN/config" 2>/dev/null || :
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
      -n | -l) shift ;;
      -f) words="$words $2"; shift ;;
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
    'delete node') rm -rf "${SITE:?}/$3"; echo "node \"$3\" deleted" ;;
    'create secret') echo "secret $4 $(encryption_key)" >>"$DB/state.db"; echo "secret/$4 created" ;;
    'get secrets') check_secrets; grep '^secret ' "$DB/state.db" || : ;;
    'replace -') check_secrets; cat >/dev/null; rewrite_secrets ;;
    'get deployment' | 'get deploy') get_deployment "${3-}" ;;
    'rollout status') echo "deployment \"coredns\" successfully rolled out" ;;
    *) answer_engine "$@" || refuse "the stand-in does not answer: kubectl $*" ;;
  esac
}

case ${1-} in
  --version) printf 'k3s version %s (stand-in)\ngo version go1.26.0\n' "$VERSION" ;;
  server | agent) run_node "$@" ;;
  certificate) echo "STATUS: OK" ;;
  secrets-encrypt) [ "${2-}" = rotate-keys ] || refuse "the stand-in has no command $*"; rotate_keys ;;
  kubectl) shift && kubectl "$@" ;;
  *) refuse "the stand-in has no command ${1-}" ;;
esac
