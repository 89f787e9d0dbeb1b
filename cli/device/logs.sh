# What a device says of itself, line by line: its apply log, its Kubernetes service, its pull engine. Before it stand
# SOURCES (apply, unit, engine), LINES, FOLLOW (0, 1) and NAMESPACE, that of the engine. Changes nothing.
# shellcheck shell=sh disable=SC2154
set -u
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/snap/bin LC_ALL=C
ROOT=${EDGE_FLEET_ROOT-}
SETTINGS=$ROOT/var/lib/edge-fleet/settings

# A setting of the last committed run.
known() { sed -n "s/^set $1 //p" "$SETTINGS" 2>/dev/null | tail -n 1; }

file() {
  if [ "$FOLLOW" = 1 ]; then tail -n "$LINES" -F "$1" 2>/dev/null; else tail -n "$LINES" "$1" 2>&1; fi
}

apply() {
  log=$ROOT/var/log/edge-fleet/apply.log
  if [ -f "$log" ] || [ "$FOLLOW" = 1 ]; then file "$log"; else echo "no run has come to this device yet"; fi
}

unit() {
  service=$(known SERVICE)
  if [ -z "$service" ]; then
    echo "no run has succeeded on this device yet: its service is not known"
  elif [ "$(known INIT)" = openrc ]; then
    file "$ROOT/var/log/$service.log"
  elif [ "$FOLLOW" = 1 ]; then
    journalctl -q --no-pager -o short-iso -n "$LINES" -u "$service" -f 2>&1
  else
    journalctl -q --no-pager -o short-iso -n "$LINES" -u "$service" 2>&1
  fi
}

# The bound on a request would also end a log that is followed.
kubectl() { ${KUBECTL%% --request-timeout=*} "$@"; }

engine() {
  KUBECTL=$(known KUBECTL)
  if [ -z "$KUBECTL" ]; then
    echo "no run has succeeded on this device yet: its cluster is not known"
  elif ! pods=$(kubectl -n "$NAMESPACE" --request-timeout=10s get pods -o name 2>&1); then
    echo "$pods"
  elif [ -z "$pods" ]; then
    echo "no pods in namespace $NAMESPACE: the pull engine is not installed"
  else
    for pod in $pods; do
      set -- -n "$NAMESPACE" logs "$pod" --all-containers --prefix "--tail=$LINES"
      if [ "$FOLLOW" = 1 ]; then kubectl "$@" -f & else kubectl "$@" --request-timeout=10s; fi
    done 2>&1
    wait
  fi
}

# With one source its lines are as they are; with several each begins with where it is from.
labelled() {
  if [ "$SOURCES" = "$1" ]; then "$1"; else
    "$1" | while IFS= read -r line; do printf '%-6s | %s\n' "$1" "$line"; done
  fi
}

# The end of stdin is the end of the connection, after which nothing of this may stay.
if [ "$FOLLOW" = 1 ]; then
  for source in $SOURCES; do labelled "$source" </dev/null & done
  cat >/dev/null
  trap '' TERM
  kill 0
else
  for source in $SOURCES; do labelled "$source" </dev/null; done
fi
