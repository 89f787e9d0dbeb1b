# MicroK8s: a held snap of a pinned revision, one node with dqlite. Everything below `current` moves with the revision, so
# the snap's files are edited, never replaced: the edge-fleet part of each is marked and can be taken out again.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
MICROK8S=/snap/bin/microk8s
MICROK8S_SNAP=/var/snap/microk8s
MICROK8S_DATA=$MICROK8S_SNAP/current
MICROK8S_CONFIG=/etc/edge-fleet/microk8s
MICROK8S_UNIT=snap.microk8s.daemon-kubelite
ALL_SERVICES="$ALL_SERVICES snap.microk8s.daemon-containerd snap.microk8s.daemon-k8s-dqlite $MICROK8S_UNIT"
MICROK8S_OURS=$STATE/microk8s

# Columns of `snap list`: name, version, revision, channel, publisher, notes.
snap_column() { snap list "$1" 2>/dev/null | awk -v name="$1" -v column="$2" '$1 == name { print $column; exit }'; }

# What its first start makes, and nothing else does.
microk8s_folder() { echo "$MICROK8S_SNAP"; }

microk8s_version() { ! command -v snap >/dev/null || snap_column microk8s 2; }

# What a payload may name.
microk8s_kubectls() { echo "$MICROK8S kubectl"; }
microk8s_has_path() { case $1 in "$MICROK8S_SNAP"/?* | /etc/microk8s.yaml) ;; *) return 1 ;; esac }

# The snap names the node after the host, and its kubelet's certificate with it.
microk8s_validate() {
  node=$(tr '[:upper:]' '[:lower:]' <"$PROC/sys/kernel/hostname")
  [ "$node" = "$DEVICE" ] || die "host-name: MicroK8s would name the node $node - hostnamectl set-hostname $DEVICE"
}

microk8s_unset_foreign() {
  [ -n "$(microk8s_version)" ] || return 0
  if [ ! -e "$MICROK8S_OURS" ]; then
    echo "microk8s was not installed by edge-fleet, which does not take it over (snap remove --purge microk8s erases it)"
  elif [ -e "$MICROK8S_DATA/var/lock/clustered.lock" ]; then
    echo "microk8s is a worker of another cluster, which edge-fleet does not take over"
  elif grep -s -- --etcd-servers "$MICROK8S_DATA/args/kube-apiserver" | grep -qv kine; then
    echo "microk8s uses an etcd of its own, which edge-fleet does not take over"
  fi
}

# Called with the new files in place; in a rollback with the old ones, when the revision is back already.
microk8s_install() {
  mkdir -p "$STAGE"
  secretbox_key "$MICROK8S_CONFIG/encryption.yaml"
  [ "$RESULT" = rolled-back ] || microk8s_snaps
  [ ! -d "$MICROK8S_DATA/args" ] || microk8s_edit
}

# The payload names each snap and its assertions in the same order, and what is needed first comes last: for a device
# without a store snapd's own snap, then the base.
microk8s_snaps() {
  : >"$MICROK8S_OURS"
  stored snap >"$STAGE/snaps"
  stored assertions >"$STAGE/assertions"
  paste -d ' ' "$STAGE/snaps" "$STAGE/assertions" | sed '1!G;h;$!d' >"$STAGE/pairs"
  while read -r blob assertions; do
    snap_install "$blob" "$assertions" </dev/null
  done <"$STAGE/pairs"
  snap refresh --hold microk8s || die "snapd: it cannot hold a snap - update snapd to 2.58 or later"
}

# A revision that an earlier try left behind goes first: snapd would start it with the data of that try. A base stays as it
# is; snapd itself is only ever replaced by a later one, since a base may need that.
snap_install() {
  name=$(sed -n 's/^snap-name: //p' "$2" | tail -n 1)
  revision=$(sed -n 's/^snap-revision: //p' "$2" | tail -n 1)
  case $name/$revision in /* | */) die "assertions: $2 names no snap or no revision - run edge-fleet lock" ;; esac
  have=$(snap_column "$name" 3)
  [ "$have" != "$revision" ] || return 0
  case $name in
    microk8s) ;;
    snapd) [ -z "$have" ] || [ "$have" -lt "$revision" ] 2>/dev/null || return 0 ;;
    *) [ -z "$have" ] || return 0 ;;
  esac
  snap ack "$2" || die "assertions: snapd does not trust $2 - run edge-fleet lock"
  ! snap_revisions "$name" | grep -q " $revision\$" || snap remove "$name" --revision="$revision"
  snap install --classic "$1" || die "snap: $name $revision was not installed - read $LOG"
  CHANGED=1
}

# Version and revision of each revision on disk.
snap_revisions() { snap list --all "$1" 2>/dev/null | awk -v name="$1" '$1 == name { print $2, $3 }'; }

# In a rollback, after the files: the revision with the version that was committed last comes back with its own data. A
# snap that was not there before goes, so that the next try reads its launch configuration.
microk8s_undo() {
  version=$(sed -n 's/^set VERSION //p' "$SETTINGS" 2>/dev/null) || version=
  have=$(microk8s_version)
  if [ -z "$have" ] || [ "$have" = "$version" ]; then
    return 0
  elif [ -z "$version" ]; then
    microk8s_remove
    rm -f "$MICROK8S_OURS"
  else
    revision=$(snap_revisions microk8s | awk -v version="$version" '$1 == version { r = $2 } END { print r }')
    if [ -n "$revision" ]; then snap revert microk8s --revision="$revision"; else echo "the snap of $version is gone"; fi
  fi
}

# Marks a change of the snap's files as one that needs a restart.
microk8s_edit() {
  for file in "$MICROK8S_CONFIG"/args/*; do
    microk8s_arguments "$file" "$MICROK8S_DATA/args/${file##*/}"
  done
  microk8s_containerd "$MICROK8S_CONFIG/containerd.toml" "$MICROK8S_DATA/args/containerd-template.toml"
  microk8s_mirrors
}

# Puts the arguments of file $1 as a marked part at the end of file $2. What they replace is kept there as a comment and
# comes back with an argument that is dropped: an argument that stands twice would be a union for some flags, e.g.
# --authorization-mode.
microk8s_arguments() {
  [ -f "$2" ] || : >"$2"
  awk '
    function key(line) { sub(/^[ \t]+/, "", line); sub(/[ =].*/, "", line); return line }
    FNR == NR { if (/^--/) { wanted[key($0)] = $0; order[++n] = $0 }; next }
    /^# edge-fleet begin/ { part = 1; next }
    /^# edge-fleet end/ { part = 0; next }
    part && !sub(/^# was /, "") { next }
    key($0) in wanted { if ($0 != wanted[key($0)]) was[++m] = $0; next }
    { print }
    END {
      print "# edge-fleet begin: set by the inventory"
      for (i = 1; i <= m; i++) print "# was " was[i]
      for (i = 1; i <= n; i++) print order[i]
      print "# edge-fleet end"
    }' "$1" "$2" >"$STAGE/edited"
  microk8s_replace "$STAGE/edited" "$2"
}

microk8s_containerd() {
  [ -f "$2" ] || return 0
  if grep -q '^\[' "$1"; then
    format=$(sed -n 's/^version *= *\([0-9]*\).*/\1/p' "$2")
    [ "$format" = 2 ] || die "containerd: the snap's template is of version ${format:-1}, not 2 - use another microk8s.version, or no wasm"
  fi
  awk '
    FNR == NR { if (!/^#/) { ours[++n] = $0; if (/[^ ]/) some = 1 }; next }
    /^# edge-fleet begin/ { part = 1; next }
    /^# edge-fleet end/ { part = 0; next }
    !part { print }
    END {
      if (!some) exit
      print "# edge-fleet begin: set by the inventory"
      for (i = 1; i <= n; i++) print ours[i]
      print "# edge-fleet end"
    }' "$1" "$2" >"$STAGE/edited"
  microk8s_replace "$STAGE/edited" "$2"
}

# The snap's owner and mode stay.
microk8s_replace() {
  ! cmp -s "$1" "$2" || return 0
  edited=${2%/*}/.edge-fleet.${2##*/}
  cp -p "$2" "$edited"
  cat "$1" >"$edited"
  sync "$edited"
  mv -f "$edited" "$2"
  CHANGED=1
}

# containerd reads a mirror at each pull. Ours begin with a mark. `put` links the file, so that each needs its own.
microk8s_mirrors() {
  for old in "$MICROK8S_DATA"/args/certs.d/*/hosts.toml; do
    [ -f "$old" ] || continue
    host=${old%/hosts.toml}
    [ "$(head -n 1 "$old")" != '# edge-fleet' ] || [ -f "$MICROK8S_CONFIG/certs.d/${host##*/}/hosts.toml" ] || rm -f "$old"
  done
  for new in "$MICROK8S_CONFIG"/certs.d/*/hosts.toml; do
    [ -f "$new" ] || continue
    host=${new%/hosts.toml}
    rm -f "$STAGE/edited"
    { echo '# edge-fleet' && cat "$new"; } >"$STAGE/edited"
    put "$STAGE/edited" "$MICROK8S_DATA/args/certs.d/${host##*/}/hosts.toml"
  done
}

# `microk8s stop` would end every container; restarting the services leaves the workloads alone.
microk8s_start() {
  service_reload
  pid=$(microk8s_main_pid)
  if [ "${pid:-0}" = 0 ]; then
    snap start --enable microk8s
  else
    microk8s_renew_certificates
    snap restart microk8s.daemon-containerd microk8s.daemon-kubelite
  fi
}

microk8s_stop() { snap stop --disable microk8s; }

microk8s_main_pid() { service_main_pid "$MICROK8S_UNIT"; }

# The snap writes containerd's configuration from its template; the classes have no folder from which they would be read.
microk8s_wasm_ready() {
  grep -q "runtimes\.$1\]" "$MICROK8S_DATA/args/containerd.toml" 2>/dev/null || return 1
  $KUBECTL get runtimeclass "$1" >/dev/null 2>&1 || $KUBECTL apply -f "$MICROK8S_CONFIG/runtimeclasses.yaml"
}

# dqlite survives a power cut, so a copy of its files is whole if nothing is written meanwhile: what changed since a first
# copy is copied while dqlite is halted, for less than a leader's lease. Whatever happens to this program, dqlite goes on.
microk8s_backup_datastore() {
  backend=$MICROK8S_DATA/var/kubernetes/backend copied=0
  [ -d "$backend" ] || return 0
  cp -Rp "$backend" "$1/backend" 2>/dev/null || :
  sync
  dqlite=$(service_main_pid snap.microk8s.daemon-k8s-dqlite 2>/dev/null) || dqlite=0
  [ "${dqlite:-0}" = 0 ] || microk8s_halt
  timeout 6 cp -Rpu "$backend/." "$1/backend/" || copied=1
  for f in "$1"/backend/*; do
    [ -e "$backend/${f##*/}" ] || rm -f "$f"
  done
  [ "${dqlite:-0}" = 0 ] || kill -CONT "$dqlite"
  find "$1/backend" -type s -exec rm -f {} +
  [ ! -f "$MICROK8S_CONFIG/encryption.yaml" ] || cp -p "$MICROK8S_CONFIG/encryption.yaml" "$1/encryption.yaml"
  return "$copied"
}

microk8s_halt() {
  setsid sh -c "sleep 8; kill -CONT $dqlite" </dev/null >/dev/null 2>&1 &
  kill -STOP "$dqlite"
}

microk8s_is_copy() { [ -d "$1/backend" ]; }

# The service is stopped by the caller.
microk8s_restore_datastore() {
  backend=$MICROK8S_DATA/var/kubernetes/backend
  [ -d "$1/backend" ] && [ -d "${backend%/*}" ] || return 0
  rm -rf "${backend%/*}/.backend.new"
  cp -Rp "$1/backend" "${backend%/*}/.backend.new"
  [ ! -f "$1/encryption.yaml" ] || put_apart "$1/encryption.yaml" "$MICROK8S_CONFIG/encryption.yaml"
  sync
  rm -rf "$backend"
  mv "${backend%/*}/.backend.new" "$backend"
}

# With --purge: without it snapd keeps a copy of everything.
microk8s_remove() {
  snap stop --disable microk8s 2>/dev/null || :
  drop_firewall_rules /snap/microk8s/current/sbin
  snap remove microk8s --purge
}

microk8s_reset() {
  [ -z "$(microk8s_version)" ] || microk8s_remove
  for shim in /usr/local/bin/containerd-shim-*; do
    [ ! -f "$shim" ] || kill_by_path "$shim"
  done
  unmount_below "$MICROK8S_SNAP" /run/netns/cni-
  ip link delete vxlan.calico 2>/dev/null || :
  rm -f /etc/microk8s.yaml "$MICROK8S_OURS"
  rm -rf "$UNITS"/snap.microk8s.*.service.d "$MICROK8S_CONFIG" "$MICROK8S_SNAP"
  [ ! -L /var/lib/kubelet ] || rm -f /var/lib/kubelet
  service_reload
}

# Days that a certificate still holds, by its name in `microk8s refresh-certs --check`.
microk8s_certificate_days() {
  "$MICROK8S" refresh-certs --check 2>/dev/null |
    sed -n "s/^The $1 certificate will expire in \\(-\\{0,1\\}[0-9]*\\) days.*/\\1/p"
}

microk8s_certificate_ends() {
  days=$(microk8s_certificate_days "$1")
  [ -n "$days" ] && [ "$days" -lt "$2" ]
}

# Success where a certificate ends within $1 days. The authority is left out, since nothing renews it by itself.
microk8s_certificates_expiring() { microk8s_certificate_ends server "$1" || microk8s_certificate_ends 'front proxy client' "$1"; }

# Unlike K3s and K0s the snap does not renew its certificates when it starts.
microk8s_renew_certificates() {
  ! microk8s_certificate_ends server "$CERTIFICATE_DAYS" || "$MICROK8S" refresh-certs --cert server.crt
  ! microk8s_certificate_ends 'front proxy client' "$CERTIFICATE_DAYS" ||
    "$MICROK8S" refresh-certs --cert front-proxy-client.crt
}

# Classes of ours that the file has no more; snapd keeps the former revision, which a rollback needs, and no other.
microk8s_prune() {
  for class in $($KUBECTL get runtimeclass -l app.kubernetes.io/managed-by=edge-fleet -o name); do
    grep -qx "  name: ${class##*/}" "$MICROK8S_CONFIG/runtimeclasses.yaml" || $KUBECTL delete "$class"
  done
}
