#!/bin/sh
# Stand-in of the loopback lab for the K0s binary, release @VERSION@: see kube-api.sh. It runs no workloads.
# /run/standin-k0s tells what the running server was started with.
# A fault comes from its build or from /etc/edge-fleet-lab/fault: `<never-ready|crash|refuse-config> [release]`.
# What it claims of K0s is written beside it, as file and function of k0sproject/k0s, read at v1.34.10+k0s.0 and at
# v1.36.3+k0s.2, which agree where no release is named. A certificate's text and the words of the API are its own.
# shellcheck disable=SC2016,SC2034,SC2154
set -eu
VERSION='@VERSION@'
FAULT='@FAULT@'
READY_SECONDS='@READY_SECONDS@'
DATA=/var/lib/k0s
DB=$DATA/db
MANIFESTS=$DATA/manifests/edge-fleet
RUN=/run/standin-k0s
# @KUBE_API@
MINOR=${VERSION#v1.}
MINOR=${MINOR%%.*}

# pkg/apis/k0s/v1beta1/clusterconfig_types.go, ClusterSpec; metricsServer is there since 1.36.
SPEC=' api controllerManager scheduler storage network workerProfiles telemetry installConfig images extensions
  konnectivity featureGates '
[ "$MINOR" -lt 36 ] || SPEC="$SPEC metricsServer "

# As strict as the real one: the keys of the specification. cmd/config/validate.go, NewValidateCmd; what ConfigFromBytes of
# clusterconfig_types.go does not know is `unknown field`.
validate() {
  [ -r "$1" ] || refuse "failed to read configuration file: open $1: no such file or directory"
  fault
  [ "$word" != refuse-config ] || refuse "failed to parse configuration: error unmarshaling JSON: while decoding JSON: json: unknown field \"stand-in\""
  keys=$(sed -n '/^spec:/,$s/^  \([A-Za-z]*\):.*/\1/p' "$1")
  for key in $keys; do
    case $SPEC in
      *[[:space:]]"$key"[[:space:]]*) ;;
      *) refuse "failed to parse configuration: error unmarshaling JSON: while decoding JSON: json: unknown field \"$key\"" ;;
    esac
  done
}

# pkg/component/worker/containerd: setupConfig of component.go writes /etc/k0s/containerd.toml unless somebody else's is
# there, handleImports (to 1.35) and marshalContainerdConfig (from v1.36.1+k0s.0 on) of configurer.go say what it imports:
# a merged /run/k0s/containerd-cri.toml, which 1.36 leaves lying where it finds one, or the drop-ins themselves. A drop-in
# of the other version ends K0s: containerd 1.7 refuses 3 (services/server/config/config.go, ValidateVersion), and the
# pre-flight checks of 1.36 refuse 2 (internal/pkg/sysinfo/probes/containerd.go).
containerd() {
  want=2 plugin=io.containerd.grpc.v1.cri
  [ "$MINOR" -lt 36 ] || want=3 plugin=io.containerd.cri.v1
  for drop_in in /etc/k0s/containerd.d/*.toml; do
    [ -f "$drop_in" ] || continue
    if ! grep -qx "version = $want" "$drop_in" || ! grep -qF "plugins.\"$plugin" "$drop_in"; then
      refuse "$drop_in is not of version $want"
    fi
  done
  mark=$(head -n 1 /etc/k0s/containerd.toml 2>/dev/null) || mark='# k0s_managed=true'
  [ "$mark" = '# k0s_managed=true' ] || return 0
  mkdir -p /run/k0s /etc/k0s/containerd.d
  if [ "$MINOR" -lt 36 ]; then
    echo 'version = 2' >/run/k0s/containerd-cri.toml
    cat /etc/k0s/containerd.d/*.toml >>/run/k0s/containerd-cri.toml 2>/dev/null || :
    printf '%s\nimports = ["/run/k0s/containerd-cri.toml"]\nversion = 2\n' "$mark"
  else
    printf '%s\nimports = ["/etc/k0s/containerd.d/*.toml"]\nversion = 3\n\n[plugins]\n' "$mark"
  fi >/etc/k0s/containerd.toml
}

# Flags: pkg/config/cli.go, GetWorkerFlags and FileInputFlag and GetControllerFlags. The kubelet's --hostname-override is
# Kubernetes' own. The datastore is $DATA/db/state.db: pkg/apis/k0s/v1beta1/storage.go, DefaultKineConfig.
# Certificates but for the authorities are new at each start: pkg/certificate/manager.go, regenerateCert.
# What lies in a folder of manifests is applied and taken back: pkg/applier/manager.go and stackapplier.go.
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

# cmd/reset/reset.go, in 1.36 pkg/uninstall/uninstall.go: it refuses beside a running K0s (pkg/config/runtime.go,
# ErrK0sStillRunning). pkg/cleanup: it takes the unit and the folders of data and of the run, with the programs in them, and
# leaves /etc/k0s, its own binary and the firewall.
reset() {
  read -r pid _ <"$RUN/server" 2>/dev/null || pid=none
  ! grep -q sleep "/proc/$pid/cmdline" 2>/dev/null || refuse "another k0s process is still running, please stop k0s before reset"
  rm -rf "$DATA" /run/k0s "$RUN" /etc/systemd/system/k0scontroller.service
}

# `version` prints one line: cmd/version/version.go. `kubectl` is the client: cmd/kubectl/kubectl.go.
case "${1-} ${2-}" in
  'version ') echo "$VERSION" ;;
  'config validate') validate "$4" ;;
  'controller '*) shift && controller "$@" ;;
  'kubectl '*) shift && kubectl "$@" ;;
  'reset '*) reset ;;
  *) refuse "the stand-in has no command $*" ;;
esac
