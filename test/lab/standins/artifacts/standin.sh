# What the stand-ins for K3s, K0s and MicroK8s share: their faults, and what they keep of a node. Needs VERSION, FAULT,
# READY_SECONDS and `refuse`, which ends with a message; for a node DB, its folder, and `node`, its name; for
# the engine MANIFESTS, the folder of its manifests.
# shellcheck shell=sh disable=SC2034,SC2154

# The fault of this start, in `word`: of the build, or of /etc/edge-fleet-lab/fault: `<fault> [release]`.
fault() {
  word=$FAULT
  if [ -z "$word" ] && [ -r /etc/edge-fleet-lab/fault ]; then
    read -r word release </etc/edge-fleet-lab/fault || :
    case ${release:-$VERSION} in "$VERSION") ;; *) word= ;; esac
  fi
}

# When this start is ready, in `ready`, by its fault; a release that crashes ends here.
ready_at() {
  fault
  now=$(date +%s)
  ready=$((now + READY_SECONDS))
  case $word in
    crash) refuse "the stand-in was told to crash" ;;
    never-ready | migrate) ready=99999999999 ;;
    slow) ready=$((now + 8)) ;;
  esac
}

require_node() {
  [ "$1" = "$node" ] && return 0
  echo "Error from server (NotFound): nodes \"$1\" not found" >&2
  exit 1
}

# Keys and effects of the taints, as edge-fleet asks for them.
node_taints() { sed 's/=.*:/:/' "$DB/taints" | tr '\n' ' '; }

# A mark to remove that is not there is an error of taints alone, as of the real kubectl.
require_mark() {
  grep -q "$1" "$kept" || [ "${kept##*/}" = labels ] || refuse "taint \"${mark%-}\" not found"
}

# $1 labels or taints, $2 the node; a taint's key ends with its effect: key=value:effect, key:effect-
mark_node() {
  kept=$DB/$1
  require_node "$2"
  shift 2
  for mark; do
    case $mark in
      *=*:*) pattern="^${mark%%=*}=.*:${mark##*:}\$" ;;
      *=*) pattern="^${mark%%=*}=" ;;
      *:*-) pattern="^${mark%%:*}=.*:$(echo "${mark##*:}" | tr -d -)\$" ;;
      *-) pattern="^${mark%-}=" ;;
      *) refuse "not a label: $mark" ;;
    esac
    case $mark in *=*) ;; *) require_mark "$pattern" ;; esac
    grep -v "$pattern" "$kept" >"$kept.new" || :
    case $mark in *=*) echo "$mark" >>"$kept.new" ;; esac
    mv -f "$kept.new" "$kept"
  done
  echo "node/$node: ${kept##*/}"
}

# The images of the engine that the manifests' folder asks for.
engine_images() { sed -n 's/^[ -]*image: *//p' "$MANIFESTS"/edge-fleet-engine-*.yaml 2>/dev/null | tr -d "\"'"; }

# What edge-fleet asks about the engine, of a node that has no containers: each of its pods waits for an image. The words of
# the request are the arguments, its output is in `output`. Fails where it is asked something else.
answer_engine() {
  case "${1-} ${2-} $output" in
    'get deployments,statefulsets '*metadata.namespace*) ;;
    'get deployments,statefulsets '*) engine_images | sed 's/^/1== 1=1 /' ;;
    'get pods jsonpath='*) engine_images | sed 's/^/ImagePullBackOff /' ;;
    'get pods name' | 'get crd '* | 'delete deployments,statefulsets,replicasets,pods '* | 'delete secret '* | 'delete addon '*) ;;
    'get secret '*) refuse "secrets \"$3\" not found" ;;
    "apply $MANIFESTS/"*) echo "${2##*/}" >>"$DB/applied" ;;
    "get $MANIFESTS/"*' name') ;;
    "get $MANIFESTS/"*) grep -qxF "${2##*/}" "$DB/applied" 2>/dev/null || refuse "not found" ;;
    "delete $MANIFESTS/"* | 'delete /var/lib/edge-fleet/'*) ;;
    *) return 1 ;;
  esac
}
