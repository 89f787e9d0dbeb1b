# What runs on this device and how it is, as one line of JSON: read-only, and within a bound, whatever the cluster does.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317

# Of each Application: its name, what it is to be at and what was compared, whether that is what runs and is well, the last
# change that went through whole and its commit, how the last change ended and when, when it was last compared, and what is
# wrong with it.
APPLICATION_FIELDS='name targetRevision revision sync health healthSince deployedRevision deployedAt phase finishedAt reconciledAt conditions'
APPLICATION_PATHS='{range .items[*]}{.metadata.name}{"\t"}{.spec.source.targetRevision}{"\t"}{.status.sync.revision}{"\t"}{.status.sync.status}{"\t"}{.status.health.status}{"\t"}{.status.health.lastTransitionTime}{"\t"}{.status.history[-1:].revision}{"\t"}{.status.history[-1:].deployedAt}{"\t"}{.status.operationState.phase}{"\t"}{.status.operationState.finishedAt}{"\t"}{.status.reconciledAt}{"\t"}{.status.conditions[*].type}{"\n"}{end}'

# Of each Kustomization of Flux: its name, the revision that was tried last and the one that was applied last, whether and why
# it is ready, whether all that it has applied is well, and how its last reconciliation ended, when, and when its result
# first came out so.
KUSTOMIZATION_PATHS='{range .items[*]}{.metadata.name}{"\t"}{.status.lastAttemptedRevision}{"\t"}{.status.lastAppliedRevision}{"\t"}{.status.conditions[?(@.type=="Ready")].status}{"\t"}{.status.conditions[?(@.type=="Ready")].reason}{"\t"}{.status.conditions[?(@.type=="Healthy")].status}{"\t"}{.status.history[:1].lastReconciledStatus}{"\t"}{.status.history[:1].lastReconciled}{"\t"}{.status.history[:1].firstReconciled}{"\n"}{end}'

engine_status() {
  answer_always
  require_root
  known_settings || die "settings: no apply has succeeded here yet - run pulumi up"
  api=false applications=''
  [ "$($KUBECTL get --raw=/readyz 2>/dev/null)" != ok ] || api=true
  if [ "$api" = true ]; then
    engine_state 0
    case $ENGINE in
      flux) applications=$(flux_applications) || api=false ;;
      *) applications=$(argocd_applications) || api=false ;;
    esac
  elif has_engine; then
    ENGINE_STATE='waiting: the API does not answer'
  fi
  say "{\"edgeFleetStatus\":1,\"device\":\"$DEVICE\",\"at\":\"$(date -u +%FT%TZ)\",\"distribution\":\"$DISTRIBUTION\",\"release\":\"$("${DISTRIBUTION}_version")\",\"api\":$api,\"engine\":\"$ENGINE\",\"state\":\"$(plain "$ENGINE_STATE" 300)\",\"applications\":[$applications]}"
}

argocd_applications() {
  listed=$(listed_of applications.argoproj.io "$APPLICATION_PATHS") || return 1
  printf '%s\n' "$listed" | as_applications
}

# In the words of Argo CD. What was applied and is not well is Synced and Degraded; a condition that is Unknown only says that a
# reconciliation is under way, which happens to the best at each interval.
flux_applications() {
  listed=$(listed_of kustomizations.kustomize.toolkit.fluxcd.io "$KUSTOMIZATION_PATHS") || return 1
  printf '%s\n' "$listed" | awk -F '\t' -v OFS='\t' '
    NF > 1 {
      name = $1; tried = $2; done = $3; ready = $4; reason = $5; healthy = $6; ended = $7; at = $8; first = $9
      unwell = reason == "HealthCheckFailed" || (ready == "Unknown" && ended == "HealthCheckFailed")
      whole = tried != "" && (tried == done || unwell) && (ready != "False" || unwell)
      sub(/^.*sha1:/, "", tried)
      sync = whole ? "Synced" : (tried == "" ? "Unknown" : "OutOfSync")
      health = whole && (healthy != "Unknown" || ended == "ReconciliationSucceeded") ? "Healthy" : "Progressing"
      if (unwell || healthy == "False") health = "Degraded"
      phase = ready == "True" || unwell ? "Succeeded" : (ready == "False" ? "Failed" : "Running")
      if (ended != "ReconciliationSucceeded" || !whole) first = ""
      deployed = first == "" ? "" : tried
      if (ready != "False") reason = ""
      print name, "", tried, sync, health, "", deployed, first, phase, at, at, reason
    }' | as_applications
}

# $1 is a kind, $2 what is asked of its objects. A device without the definition has none.
listed_of() {
  # shellcheck disable=SC2086
  [ -n "$($KUBECTL get crd "$1" --ignore-not-found -o name </dev/null 2>/dev/null)" ] || return 0
  in_engine get "$1" -o "jsonpath=$2" 2>/dev/null
}

as_applications() {
  tr -cs '\11\12\40-\176' ' ' | awk -F '\t' -v names="$APPLICATION_FIELDS" '
    BEGIN { fields = split(names, name, " ") }
    NF > 1 {
      gsub(/[\\"]/, "\\\\&")
      printf "%s{", comma
      for (i = 1; i <= fields; i++) printf "%s\"%s\":\"%s\"", (i > 1 ? "," : ""), name[i], $i
      printf "}"
      comma = ","
    }'
}
