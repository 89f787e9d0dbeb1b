#!/bin/sh
# Stand-in of the loopback lab for the K0s binary, release @VERSION@: see kube-api.sh. It runs no workloads.
# /run/standin-k0s tells what the running server was started with.
# A fault comes from its build or from /etc/edge-fleet-lab/fault: `<never-ready|crash|refuse-config> [release]`.
# shellcheck disable=SC2016,SC2034,SC2154
set -eu
VERSION='@VERSION@'
FAULT='@FAULT@'
READY_SECONDS='@READY_SECONDS@'
DATA=/var/lib/k0s
DB=$DATA/db
RUN=/run/standin-k0s
# @KUBE_API@
SPEC=' api controllerManager storage network telemetry images workerProfiles '

# As strict as the real one: the head, and the keys of the specification.
validate() {
  [ -r "$1" ] || refuse "open $1: no such file"
  fault
  [ "$word" != refuse-config ] || refuse "failed to parse config: unknown field \"spec.stand-in\""
  grep -qx 'apiVersion: k0s.k0sproject.io/v1beta1' "$1" || refuse "not a ClusterConfig"
  keys=$(sed -n '/^spec:/,$s/^  \([A-Za-z]*\):.*/\1/p' "$1")
  for key in $keys; do
    case $SPEC in *" $key "*) ;; *) refuse "unknown field \"spec.$key\"" ;; esac
  done
}

# A drop-in of the wrong version ends the real one as well.
containerd() {
  minor=${VERSION#v1.}
  want=2
  [ "${minor%%.*}" -lt 36 ] || want=3
  mkdir -p /run/k0s
  : >/run/k0s/containerd-cri.toml
  for drop_in in /etc/k0s/containerd.d/*.toml; do
    [ -f "$drop_in" ] || continue
    grep -qx "version = $want" "$drop_in" || refuse "$drop_in: containerd configuration version is not $want"
    cat "$drop_in" >>/run/k0s/containerd-cri.toml
  done
}

controller() {
  config='' name=$(uname -n) single=''
  for argument; do
    case $argument in
      --single) single=1 ;;
      --config=*) config=${argument#*=} ;;
      --kubelet-extra-args=*) name=${argument##*--hostname-override=} ;;
      --disable-components=* | '--labels=${NODE_LABELS}') ;;
      --labels=*) NODE_LABELS=${argument#*=} ;;
      *) refuse "unknown flag: $argument" ;;
    esac
  done
  [ -n "$single" ] || refuse "the stand-in runs a single node only"
  validate "$config"
  paths=$(sed -n 's/^ *\(admission-control-config-file\|audit-policy-file\|encryption-provider-config\): //p' "$config")
  for path in $paths; do
    [ -s "$path" ] || refuse "kube-apiserver: cannot read $path"
  done
  containerd
  mkdir -p "$DATA/pki" "$RUN" "$DB"
  [ -f "$DATA/pki/ca.crt" ] || echo "stand-in authority" >"$DATA/pki/ca.crt"
  echo "stand-in certificate" >"$DATA/pki/server.crt"
  sed -n 's/^  name: //p' "$DATA"/manifests/*/*.yaml 2>/dev/null | sort -u >"$DB/runtimeclasses" || :
  cksum <"$config" >"$RUN/config"
  serve "$name" "${NODE_LABELS-}"
}

reset() {
  read -r pid _ <"$RUN/server" 2>/dev/null || pid=none
  ! grep -q sleep "/proc/$pid/cmdline" 2>/dev/null || refuse "k0s seems to be running, please stop k0s before reset"
  rm -rf "$DATA/db" "$DATA/pki" /run/k0s "$RUN"
  echo "k0s cleanup operations done. To ensure a full reset, a node reboot is recommended."
}

case "${1-} ${2-}" in
  'version ') echo "$VERSION" ;;
  'config validate') validate "$4" ;;
  'controller '*) shift && controller "$@" ;;
  'kubectl '*) shift && kubectl "$@" ;;
  'reset '*) reset ;;
  *) refuse "the stand-in has no command $*" ;;
esac
