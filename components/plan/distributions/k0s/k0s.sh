# K0s: one node with kine's SQLite datastore, a binary and a systemd unit.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
K0S_DATA=/var/lib/k0s
K0S_CONFIG=/etc/k0s
K0S_RUN=/run/k0s
K0S_BIN=/usr/local/bin/k0s
ALL_SERVICES="$ALL_SERVICES k0scontroller"
K0S_UNIT=$UNITS/k0scontroller.service

# What its first start makes, and nothing else does.
k0s_folder() { echo "$K0S_DATA"; }

k0s_version() { [ ! -x "$K0S_BIN" ] || "$K0S_BIN" version 2>/dev/null | sed -n '1s/^\(v[0-9][^ ]*\).*/\1/p'; }

# What a payload may name.
k0s_kubectls() { echo "$K0S_BIN kubectl"; }
k0s_has_path() { case $1 in "$K0S_CONFIG"/?* | "$K0S_DATA"/?*) ;; *) return 1 ;; esac }

# https://docs.k0sproject.io/stable/configuration/
k0s_fixed() {
  fixed_setting "$K0S_CONFIG/k0s.yaml" podCIDR 10.244.0.0/16
  fixed_setting "$K0S_CONFIG/k0s.yaml" serviceCIDR 10.96.0.0/12
}

# The configuration is judged by the release that is going to read it, before anything is changed.
k0s_validate() {
  validator=$STAGE$K0S_BIN
  [ -x "$validator" ] || validator=$K0S_BIN
  why=$("$validator" config validate --config "$STAGE$K0S_CONFIG/k0s.yaml" 2>&1) ||
    die "config: k0s refuses k0s.yaml: $(printf %s "$why" | tail -n 1 | cut -c 1-160) - correct the inventory"
}

# The binary is put like a file. The rest is what `k0s install controller` does beside its unit: the users of the control
# plane, without which it runs as root.
k0s_install() {
  k0s_user kube-apiserver
  k0s_user kube-scheduler
  secretbox_key "$K0S_CONFIG/encryption.yaml"
  mkdir -p "$K0S_DATA/audit"
  chmod 755 "$K0S_DATA"
  chown kube-apiserver "$K0S_CONFIG/encryption.yaml" "$K0S_DATA/audit" 2>/dev/null || :
}

k0s_user() {
  ! id "$1" >/dev/null 2>&1 || return 0
  useradd --system --no-create-home --home-dir "$K0S_DATA" --shell /usr/sbin/nologin "$1" 2>/dev/null ||
    adduser -S -D -H -h "$K0S_DATA" -s /sbin/nologin "$1" 2>/dev/null ||
    echo "user $1 could not be created: that part of K0s runs as root"
}

# Key of the secrets in the datastore: made once on the device, which it never leaves.
# https://kubernetes.io/docs/tasks/administer-cluster/encrypt-data/
secretbox_key() {
  [ ! -s "$1" ] || return 0
  mkdir -p "$STATE"
  cat >"$STATE/.edge-fleet.key" <<END
apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox: {keys: [{name: device, secret: "$(head -c 32 /dev/urandom | base64)"}]}
      - identity: {}
END
  put "$STATE/.edge-fleet.key" "$1"
  rm -f "$STATE/.edge-fleet.key"
}

k0s_start() {
  service_reload
  service_enable k0scontroller
  service_restart k0scontroller
}

k0s_stop() {
  service_stop k0scontroller
  service_disable k0scontroller
}

k0s_main_pid() { service_main_pid k0scontroller; }

k0s_unset_foreign() {
  if service_exists k0sworker; then
    echo "k0s is a worker of another cluster, which edge-fleet does not take over"
  elif [ -d "$K0S_DATA/etcd/member" ]; then
    echo "k0s has an etcd datastore, which edge-fleet does not take over"
  elif grep -qs 'dataSource:' "$K0S_CONFIG/k0s.yaml"; then
    echo "k0s uses a dataSource of its own, which edge-fleet does not take over"
  fi
}

# It applies the files of a folder whenever one changes, and deletes what one that is gone has made: pkg/applier/manager.go,
# stackapplier.go, stack.go (prune). What it applied last stands in an annotation, as JSON: 256 KiB at most.
k0s_prunes_manifests() { :; }
k0s_manifests() { echo "$K0S_DATA/manifests/edge-fleet"; }

# What containerd was started with: K0s' file for it names what it imports, to 1.35 one that K0s has merged, then the
# drop-ins themselves. https://github.com/k0sproject/k0s/blob/v1.36.3+k0s.2/pkg/component/worker/containerd/configurer.go
k0s_wasm_ready() {
  type=$(sed -n 's/^ *runtime_type = "\(.*\)"$/\1/p' "$K0S_CONFIG/containerd.d/edge-fleet-$1.toml" 2>/dev/null)
  imports=$(sed -n 's/^imports = \[\(.*\)\]$/\1/p' "$K0S_CONFIG/containerd.toml" 2>/dev/null | tr -d '",')
  # shellcheck disable=SC2086
  [ -n "$type" ] && cat $imports </dev/null 2>/dev/null | grep -qF -- "$type"
}

# Without the authorities and the key of the secrets a datastore is useless.
k0s_backup_datastore() {
  [ -d "$K0S_DATA/db" ] || return 0
  mkdir -p "$1/db"
  sqlite_copy "$K0S_DATA/db/state.db" "$1/db/state.db" || return 1
  [ ! -d "$K0S_DATA/pki" ] || cp -Rp "$K0S_DATA/pki" "$1/pki" || return 1
  [ ! -f "$K0S_CONFIG/encryption.yaml" ] || cp -p "$K0S_CONFIG/encryption.yaml" "$1/encryption.yaml"
}

k0s_is_copy() { [ -s "$1/db/state.db" ]; }

# The service is stopped by the caller.
k0s_restore_datastore() {
  [ -d "$1/db" ] || return 0
  rm -rf "$K0S_DATA/.db.new" "$K0S_DATA/.pki.new"
  if [ -d "$K0S_DATA/db" ]; then cp -Rp "$K0S_DATA/db" "$K0S_DATA/.db.new"; else mkdir -p "$K0S_DATA/.db.new"; fi
  rm -f "$K0S_DATA/.db.new"/state.db*
  cp -p "$1/db"/state.db* "$K0S_DATA/.db.new/"
  if [ -d "$1/pki" ]; then
    cp -Rp "$1/pki" "$K0S_DATA/.pki.new"
    # Of another installation: the kubelet's certificate is of its authority, and the kubelet asks for one where it has none.
    cmp -s "$1/pki/ca.crt" "$K0S_DATA/pki/ca.crt" || rm -rf "$K0S_DATA/kubelet.conf" "$K0S_DATA/kubelet/pki"
    rm -rf "$K0S_DATA/pki"
    mv "$K0S_DATA/.pki.new" "$K0S_DATA/pki"
  fi
  [ ! -f "$1/encryption.yaml" ] || put_apart "$1/encryption.yaml" "$K0S_CONFIG/encryption.yaml"
  sync
  rm -rf "$K0S_DATA/db"
  mv "$K0S_DATA/.db.new" "$K0S_DATA/db"
}

# `k0s reset` refuses while it runs, needs a valid configuration, and leaves the binary, the shims and the firewall, whose
# programs go with its folder. https://docs.k0sproject.io/stable/reset/
k0s_reset() {
  drop_firewall_rules "$K0S_DATA/bin"
  if [ -x "$K0S_BIN" ] && [ -f "$K0S_CONFIG/k0s.yaml" ]; then
    timeout 300 "$K0S_BIN" reset --config "$K0S_CONFIG/k0s.yaml" || echo "k0s reset failed: its leftovers are removed"
  fi
  kill_by_path "$K0S_DATA/bin/"
  for shim in /usr/local/bin/containerd-shim-*; do
    [ ! -f "$shim" ] || kill_by_path "$shim"
  done
  unmount_below "$K0S_RUN" "$K0S_DATA" /var/lib/kubelet/pods /run/netns/cni-
  for link in kube-bridge kube-dummy-if cni0; do
    ip link delete "$link" 2>/dev/null || :
  done
  rm -f "$K0S_UNIT" "$K0S_BIN" /etc/cni/net.d/10-kuberouter.conflist
  rm -rf "$K0S_UNIT.d" "$K0S_CONFIG" "$K0S_RUN" "$K0S_DATA" /var/lib/cni
  for user in kube-apiserver kube-scheduler; do
    userdel "$user" 2>/dev/null || deluser "$user" 2>/dev/null || :
  done
  forget_services k0scontroller
}

# Success where a certificate ends within $1 days. K0s writes all but the authorities anew at each start, for a year.
k0s_certificates_expiring() {
  for c in "$K0S_DATA"/pki/*.crt; do
    case $c in */ca.crt | *-ca.crt) continue ;; esac
    [ -f "$c" ] || continue
    if command -v openssl >/dev/null; then
      openssl x509 -noout -checkend "$(($1 * 86400))" -in "$c" >/dev/null || return 0
    else
      [ -z "$(find "$c" -mtime "+$((365 - $1))")" ] || return 0
    fi
  done
  return 1
}

# A release unpacks itself over the former one.
k0s_prune() { :; }
