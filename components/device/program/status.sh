# What runs on this device and how it is, as one line of JSON: read-only, and within a bound, whatever the cluster does.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

# Of each Application: its name, what it is to be at and what was compared, whether that is what runs and is well, the last
# change that went through whole and its commit, how the last change ended and when, when it was last compared, and what is
# wrong with it.
APPLICATION_FIELDS='name targetRevision revision sync health healthSince deployedRevision deployedAt phase finishedAt reconciledAt conditions'
APPLICATION_PATHS='{range .items[*]}{.metadata.name}{"\t"}{.spec.source.targetRevision}{"\t"}{.status.sync.revision}{"\t"}{.status.sync.status}{"\t"}{.status.health.status}{"\t"}{.status.health.lastTransitionTime}{"\t"}{.status.history[-1:].revision}{"\t"}{.status.history[-1:].deployedAt}{"\t"}{.status.operationState.phase}{"\t"}{.status.operationState.finishedAt}{"\t"}{.status.reconciledAt}{"\t"}{.status.conditions[*].type}{"\n"}{end}'

engine_status() {
  answer_always
  require_root
  known_settings || die "settings: no apply has succeeded here yet - run pulumi up"
  api=false applications=''
  [ "$($KUBECTL get --raw=/readyz 2>/dev/null)" != ok ] || api=true
  if [ "$api" = true ]; then
    engine_state 0
    applications=$(engine_applications) || api=false
  elif has_engine; then
    ENGINE_STATE='waiting: the API does not answer'
  fi
  say "{\"edgeFleetStatus\":1,\"device\":\"$DEVICE\",\"at\":\"$(date -u +%FT%TZ)\",\"distribution\":\"$DISTRIBUTION\",\"release\":\"$("${DISTRIBUTION}_version")\",\"api\":$api,\"engine\":\"$ENGINE\",\"state\":\"$(plain "$ENGINE_STATE" 300)\",\"applications\":[$applications]}"
}

# A device without the definitions has no Applications.
engine_applications() {
  # shellcheck disable=SC2086
  [ -n "$($KUBECTL get crd applications.argoproj.io --ignore-not-found -o name </dev/null 2>/dev/null)" ] || return 0
  listed=$(in_engine get applications.argoproj.io -o "jsonpath=$APPLICATION_PATHS" 2>/dev/null) || return 1
  printf '%s\n' "$listed" | tr -cs '\11\12\40-\176' ' ' | awk -F '\t' -v names="$APPLICATION_FIELDS" '
    BEGIN { fields = split(names, name, " ") }
    NF > 1 {
      gsub(/[\\"]/, "\\\\&")
      printf "%s{", comma
      for (i = 1; i <= fields; i++) printf "%s\"%s\":\"%s\"", (i > 1 ? "," : ""), name[i], $i
      printf "}"
      comma = ","
    }'
}
