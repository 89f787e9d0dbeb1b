# K3s: one server with the embedded SQLite datastore, a binary and a systemd unit.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
K3S_DATA=/var/lib/rancher/k3s
K3S_CONFIG=/etc/rancher/k3s
K3S_BIN=/usr/local/bin/k3s
K3S_UNIT=$UNITS/k3s.service
K3S_AGENT_UNIT=$UNITS/k3s-agent.service
K3S_NODE_PASSWORD=/etc/rancher/node/password
ALL_SERVICES="$ALL_SERVICES k3s k3s-agent"
K3S_KEYS="encryption-config.json encryption-state.json"
K3S_PLAIN=$STATE/plain-secrets
K3S_ENCRYPTION=$K3S_CONFIG/config.yaml.d/90-edge-fleet-encryption.yaml

# What its first start makes, and nothing else does.
k3s_folder() { echo "$K3S_DATA"; }

k3s_version() { [ ! -x "$K3S_BIN" ] || "$K3S_BIN" --version 2>/dev/null | sed -n '1s/^k3s version \([^ ]*\).*/\1/p'; }

# What a payload may name: the commands of a server and of an agent, and files.
k3s_kubectls() { printf '%s\n' "$K3S_BIN kubectl" "$K3S_BIN kubectl --kubeconfig $K3S_DATA/agent/kubelet.kubeconfig"; }
k3s_has_path() { case $1 in /etc/rancher/?* | /var/lib/rancher/?*) ;; *) return 1 ;; esac }

# The binary gets its type also from a policy that does not know it.
k3s_label() {
  [ "$1" != "$K3S_BIN" ] || chcon -u system_u -r object_r -t container_runtime_exec_t "$1" 2>/dev/null ||
    echo "$1 did not get container_runtime_exec_t - install container-selinux and k3s-selinux"
}

# The binary is put like a file.
k3s_install() { :; }

k3s_start() {
  case $(k3s_service) in k3s) service_retire k3s-agent ;; *) service_retire k3s ;; esac
  service_reload
  service_enable "$(k3s_service)"
  # As edge-fleet's unit does before each start: after a rollback the unit is another one. components/plan/distributions/k3s/host.ts
  touch -c -d @0 "$K3S_DATA/server/cred/passwd" || :
  service_restart "$(k3s_service)"
}

k3s_stop() {
  for unit in k3s k3s-agent; do
    service_exists "$unit" || continue
    service_stop "$unit"
    service_disable "$unit"
  done
}

# A machine is a server or, where it joins another one, an agent.
k3s_service() { case $SERVICE in k3s-agent) echo k3s-agent ;; *) echo k3s ;; esac }

k3s_main_pid() { service_main_pid "$(k3s_service)"; }

# What K3s says itself of a start that fails: why it ended, or why an agent waits for its server, which it does for ever.
# cmd/server/main.go (logrus.Fatalf), pkg/agent/config/config.go (Get, Request)
k3s_complaint() {
  said=$(service_log "$(k3s_service)" |
    sed -n -e 's/.*level=fatal msg=//p' -e 's/.*Waiting to retrieve agent configuration; server is not ready: //p' |
    sed -e 's/^"//' -e 's/"$//' | tail -n 1 | cut -c 1-400)
  case $said in
    *'Node password rejected'*) echo "$said - its server knows $DEVICE as other hardware: run there k3s kubectl delete node $DEVICE" ;;
    ?*) echo "$said" ;;
  esac
}

# It applies a file that is there or has changed, and does nothing about one that has gone, also where it comes back as it was:
# its Addon remembers the sum. pkg/deploy/controller.go (deploy, basename)
k3s_manifests() { echo "$K3S_DATA/server/manifests"; }

k3s_forget_manifest() {
  addon=${1##*/}
  # shellcheck disable=SC2086
  $KUBECTL -n kube-system delete addon "${addon%%.*}" --ignore-not-found --wait=false </dev/null || :
}

k3s_wasm_ready() { grep -q "runtimes\.'$1'" "$K3S_DATA/agent/etc/containerd/config.toml" 2>/dev/null; }

# The token is the key of the bootstrap data: a datastore without it is useless. https://docs.k3s.io/datastore/backup-restore
# Where encryption was turned on later, that data lacks the key of the Secrets, which lies in a file alone.
k3s_backup_datastore() {
  [ -d "$K3S_DATA/server/db" ] || return 0
  mkdir -p "$1/db"
  sqlite_copy "$K3S_DATA/server/db/state.db" "$1/db/state.db" || return 1
  [ ! -f "$K3S_DATA/server/token" ] || cp -p "$K3S_DATA/server/token" "$1/token" || return 1
  for f in $K3S_KEYS; do
    [ ! -f "$K3S_DATA/server/cred/$f" ] || cp -p "$K3S_DATA/server/cred/$f" "$1/$f" || return 1
  done
  [ ! -f "$K3S_NODE_PASSWORD" ] || cp -p "$K3S_NODE_PASSWORD" "$1/node-password"
}

k3s_is_copy() { [ -s "$1/db/state.db" ]; }

# The service is stopped by the caller. The datastore of another time or installation has other authorities and keys: K3s
# takes them from it where it finds no authorities on the disk, and ends where it finds newer ones (pkg/cluster/bootstrap.go,
# ReconcileBootstrapData). It may know the node by another password.
k3s_restore_datastore() {
  [ -d "$1/db" ] || return 0
  rm -rf "$K3S_DATA/server/.db.new"
  mkdir -p "$K3S_DATA/server/.db.new"
  cp -Rp "$K3S_DATA/server/db/." "$K3S_DATA/server/.db.new/" 2>/dev/null || :
  rm -f "$K3S_DATA/server/.db.new"/state.db*
  cp -p "$1/db"/state.db* "$K3S_DATA/server/.db.new/"
  sync
  rm -rf "$K3S_DATA/server/tls" "$K3S_DATA/server/db"
  mv "$K3S_DATA/server/.db.new" "$K3S_DATA/server/db"
  [ ! -f "$1/token" ] || put_apart "$1/token" "$K3S_DATA/server/token"
  for f in $K3S_KEYS; do
    if [ -f "$1/$f" ]; then put_apart "$1/$f" "$K3S_DATA/server/cred/$f"; else rm -f "$K3S_DATA/server/cred/$f"; fi
  done
  [ ! -f "$1/node-password" ] || put_apart "$1/node-password" "$K3S_NODE_PASSWORD"
}

# Upstream's uninstall leaves the shims in /usr/local/bin running and everything that is not its own.
# https://github.com/k3s-io/k3s/blob/master/install.sh (create_killall, create_uninstall)
k3s_reset() {
  kill_by_path "$K3S_DATA/data/"
  for shim in /usr/local/bin/containerd-shim-*; do
    [ ! -f "$shim" ] || kill_by_path "$shim"
  done
  unmount_below /run/k3s "$K3S_DATA" /var/lib/kubelet/pods /var/lib/kubelet/plugins /run/netns/cni-
  for link in cni0 flannel.1 flannel-v6.1 kube-ipvs0 flannel-wg flannel-wg-v6; do
    ip link delete "$link" 2>/dev/null || :
  done
  drop_firewall_rules "$K3S_DATA/data/current/bin/aux"
  rm -f "$K3S_UNIT" "$K3S_UNIT.env" "$K3S_AGENT_UNIT" "$K3S_AGENT_UNIT.env" "$K3S_BIN"
  rm -rf "$K3S_UNIT.d" "$K3S_AGENT_UNIT.d" "$K3S_CONFIG" /run/k3s /run/flannel "$K3S_DATA" /var/lib/kubelet /var/lib/cni
  rm -rf "${K3S_NODE_PASSWORD%/*}"
  for link in kubectl crictl ctr; do
    case $(readlink "${K3S_BIN%/*}/$link") in k3s | "$K3S_BIN") rm -f "${K3S_BIN%/*}/$link" ;; esac
  done
  rm -f "$K3S_BIN-killall.sh" "$K3S_BIN-uninstall.sh" "$K3S_BIN-agent-uninstall.sh"
  forget_pods
  rmdir /etc/rancher /var/lib/rancher 2>/dev/null || :
  forget_services k3s k3s-agent
}

# Success where a certificate ends within $1 days; authorities are left out, since a restart does not renew them.
k3s_certificates_expiring() {
  if command -v openssl >/dev/null; then
    for c in "$K3S_DATA"/server/tls/*.crt "$K3S_DATA"/agent/*.crt; do
      case $c in *-ca.crt | *-ca.nochain.crt) continue ;; esac
      [ ! -f "$c" ] || openssl x509 -noout -checkend "$(($1 * 86400))" -in "$c" >/dev/null || return 0
    done
    return 1
  fi
  "$K3S_BIN" certificate check --output table 2>&1 | grep -Eqi 'warn|expired'
}

# Every release unpacks itself into a folder of its own; running shims keep using theirs.
# https://github.com/rancher/rke2/issues/9977
k3s_prune() {
  current=$(readlink "$K3S_DATA/data/current" 2>/dev/null) || return 0
  for d in "$K3S_DATA"/data/*; do
    case ${d##*/} in current | previous | cni | "${current##*/}") continue ;; esac
    if [ -d "$d" ] && [ ! -L "$d" ]; then used_by_process "$d/" || rm -rf "$d"; fi
  done
  [ ! -L "$K3S_DATA/data/previous" ] || [ -e "$K3S_DATA/data/previous" ] || rm -f "$K3S_DATA/data/previous"
}
