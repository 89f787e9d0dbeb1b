#!/bin/sh
# Stand-in of the loopback lab for the MicroK8s snap, release @VERSION@: its hooks, its services and the command. See
# kube-api.sh. The stand-in for snapd runs it with the revision's folder in SNAP_DATA.
# A fault comes from its build or from /etc/edge-fleet-lab/fault: `<never-ready|crash> [release]`.
# What it claims is written beside it, as a file of canonical/microk8s, read in the branches 1.34 and 1.36, which agree where
# none is named. That an argument may not stand twice is a rule of the lab: see the args of components/plan.
# shellcheck disable=SC2016,SC2034,SC2154
set -eu
VERSION='@VERSION@'
FAULT='@FAULT@'
READY_SECONDS='@READY_SECONDS@'
: "${SNAP_DATA:=/var/snap/microk8s/current}"
DB=$SNAP_DATA/var/kubernetes/backend
MANIFESTS=/var/lib/edge-fleet/manifests
RUN=/run/standin-microk8s
# @KUBE_API@

# The launch configuration replaces an argument, or adds it. Names and versions: canonical/microk8s-cluster-agent,
# pkg/k8sinit/schema.go, branches 1.34 and main, from which 1.36 is built (build-scripts/components/cluster-agent/version.sh).
launch() {
  section=
  while IFS= read -r line; do
    case $line in
      version:*) case ${line#version: } in 0.1.0 | 0.2.0) ;; *) refuse "config file version is not supported" ;; esac ;;
      extraKubeAPIServerArgs:) section=kube-apiserver ;;
      extraKubeControllerManagerArgs:) section=kube-controller-manager ;;
      extraKubeletArgs:) section=kubelet ;;
      addons:) section=addons ;;
      '  - name: '*) echo "${line#*: }" >>"$SNAP_DATA/addons" ;;
      '  --'*)
        key=$(echo "$line" | sed 's/^ *\([^:]*\):.*/\1/')
        value=$(echo "$line" | sed 's/^[^:]*: //; s/^"\(.*\)"$/\1/')
        sed -i "/^$key=/d" "$SNAP_DATA/args/$section"
        echo "$key=$value" >>"$SNAP_DATA/args/$section"
        ;;
      *) refuse "could not parse configuration: $line" ;;
    esac
  done <"$1"
}

# snap/hooks/install: it copies microk8s-resources/default-args, here the lines that edge-fleet meets, closes the folder to
# others, and applies the first launch configuration that is there.
hook_install() {
  mkdir -p "$SNAP_DATA/args/certs.d/docker.io" "$SNAP_DATA/certs" "$SNAP_DATA/var/lock" "$DB"
  : >"$SNAP_DATA/addons"
  printf '%s\n' '--authorization-mode=AlwaysAllow' '--event-ttl=5m' '' '# Enable the aggregation layer' \
    '--etcd-servers="unix://${SNAP_DATA}/var/kubernetes/backend/kine.sock:12379"' >"$SNAP_DATA/args/kube-apiserver"
  printf '%s\n' '--fail-swap-on=false' '--eviction-hard="memory.available<100Mi,nodefs.available<1Gi,imagefs.available<1Gi"' >"$SNAP_DATA/args/kubelet"
  echo '--root-ca-file=${SNAP_DATA}/certs/ca.crt' >"$SNAP_DATA/args/kube-controller-manager"
  printf '%s\n' 'version = 2' 'oom_score = 0' '[plugins."io.containerd.grpc.v1.cri"]' '  enable_selinux = false' \
    >"$SNAP_DATA/args/containerd-template.toml"
  printf '%s\n' 'server = "https://docker.io"' '' '[host."https://registry-1.docker.io"]' '  capabilities = ["pull", "resolve"]' >"$SNAP_DATA/args/certs.d/docker.io/hosts.toml"
  chmod -R o-rwx "$SNAP_DATA/args"
  echo "stand-in authority" >"$SNAP_DATA/certs/ca.crt"
  echo 300 >"$SNAP_DATA/certs/days"
  for config in /etc/microk8s.yaml /root/snap/microk8s/common/.microk8s.yaml; do
    [ ! -f "$config" ] || { launch "$config" && break; }
  done
}

# The label of the node: default-args/kubelet. Every argument stands once, as one word, and names files that are there.
kubelite() {
  for file in "$SNAP_DATA"/args/kube*; do
    ! grep -v '^#' "$file" | sed -n 's/^\(--[^= ]*\).*/\1/p' | sort | uniq -d | grep . || refuse "$file: an argument twice"
  done
  flags='admission-control-config-file\|audit-policy-file\|encryption-provider-config'
  paths=$(sed -n "s/^--\\($flags\\)=//p" "$SNAP_DATA/args/kube-apiserver")
  for path in $paths; do
    [ -s "$path" ] || refuse "kube-apiserver: cannot read $path"
  done
  mkdir -p "$RUN"
  cat "$SNAP_DATA"/args/kube* | cksum >"$RUN/config"
  serve "$(cat /proc/sys/kernel/hostname)" 'microk8s.io/cluster=true'
}

# scripts/wrappers/refresh_certs.py, check_certificate.
check_certificates() {
  echo "The CA certificate will expire in 3649 days."
  echo "The server certificate will expire in $(cat "$SNAP_DATA/certs/days") days."
  echo "The front proxy client certificate will expire in 300 days."
}

case "${1-} ${2-}" in
  'hook install') hook_install ;;
  'daemon kubelite') kubelite ;;
  # microk8s-resources/wrappers/run-containerd-with-args makes the one file from the other at each start.
  'daemon containerd')
    cp "$SNAP_DATA/args/containerd-template.toml" "$SNAP_DATA/args/containerd.toml"
    exec sleep 2147483646
    ;;
  'daemon k8s-dqlite') exec sleep 2147483645 ;;
  'kubectl '*) shift && kubectl "$@" ;;
  'refresh-certs --check') check_certificates ;;
  'refresh-certs --cert') echo 365 >"$SNAP_DATA/certs/days" ;;
  *) refuse "the stand-in has no command $*" ;;
esac
