# The API of the stand-ins for K0s and MicroK8s: a server that is one sleeping process, and the few kubectl requests by
# which edge-fleet asks for its health and puts its RuntimeClasses. Needs RUN, DB and what standin.sh needs.
# shellcheck shell=sh disable=SC2034,SC2154

refuse() {
  echo "Error: $*" >&2
  exit 1
}
# @STANDIN@

# $1 is the node's name, $2 its labels with commas between; they act at the first registration only, as on a real node.
serve() {
  ready_at
  mkdir -p "$DB" "$RUN"
  [ -f "$DB/state.db" ] || echo "stand-in datastore, made $(date -u +%FT%TZ)" >"$DB/state.db"
  if [ ! -f "$DB/node" ]; then
    echo "$2" | tr , '\n' | sed '/^$/d' | sort -u >"$DB/labels"
    : >"$DB/taints"
    echo "$1" >"$DB/node"
  fi
  echo "$VERSION" >"$RUN/version"
  echo "$$ $ready $1" >"$RUN/server.new"
  mv -f "$RUN/server.new" "$RUN/server"
  exec sleep 2147483647
}

require_ready() {
  pid='' ready=99999999999 node=
  [ ! -f "$RUN/server" ] || read -r pid ready node <"$RUN/server" || :
  grep -q sleep "/proc/${pid:-none}/cmdline" 2>/dev/null && [ "$(date +%s)" -ge "$ready" ] && return 0
  echo "The connection to the server was refused" >&2
  exit 1
}

get_node() {
  require_node "$1"
  case $output in
    jsonpath=*lastHeartbeatTime*) echo "True $(date -u +%FT%TZ)" ;;
    jsonpath=*spec.taints*) node_taints ;;
    labels) cat "$DB/labels" ;;
    *) refuse "the stand-in has no output $output for a node" ;;
  esac
}

get_runtimeclass() {
  if [ -n "${1-}" ]; then
    grep -qx "$1" "$DB/runtimeclasses" 2>/dev/null || refuse "runtimeclasses.node.k8s.io \"$1\" not found"
  else
    sed 's|^|runtimeclass.node.k8s.io/|' "$DB/runtimeclasses" 2>/dev/null || :
  fi
}

apply_file() {
  grep -q '^kind: RuntimeClass$' "$1" || refuse "no objects passed to apply"
  { cat "$DB/runtimeclasses" 2>/dev/null || :; sed -n 's/^  name: //p' "$1"; } | sort -u >"$DB/runtimeclasses.new"
  mv -f "$DB/runtimeclasses.new" "$DB/runtimeclasses"
}

delete_object() {
  grep -vx "${1##*/}" "$DB/runtimeclasses" >"$DB/runtimeclasses.new" || :
  mv -f "$DB/runtimeclasses.new" "$DB/runtimeclasses"
}

kubectl() {
  output=
  words=
  while [ "$#" -gt 0 ]; do
    case $1 in
      --raw=/readyz) require_ready; echo ok; exit 0 ;;
      -o) output=$2; shift ;;
      -n | -l) shift ;;
      -f) words="$words $2"; shift ;;
      --*) ;;
      *) words="$words $1" ;;
    esac
    shift
  done
  # shellcheck disable=SC2086
  set -- $words
  require_ready
  case "${1-} ${2-}" in
    'get node') get_node "$3" ;;
    'label node') shift 2; mark_node labels "$@" ;;
    'taint node') shift 2; mark_node taints "$@" ;;
    'get deployment') [ "$3" = coredns ] || refuse "deployments.apps \"$3\" not found"; echo 1 ;;
    'get runtimeclass') get_runtimeclass "${3-}" ;;
    'apply /etc/'*) apply_file "$2" ;;
    'delete runtimeclass.node.k8s.io/'*) delete_object "$2" ;;
    'drain '*) ;;
    *) answer_engine "$@" || refuse "the stand-in does not answer: kubectl $*" ;;
  esac
}
