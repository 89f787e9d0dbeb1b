# The pull engine of a device. Its objects and the objects that it works from are manifests: the distribution applies those
# of its folder by itself, whenever one changes, without a restart. What nobody else may know is made here, once.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
ENGINE_FOLDER=$STATE/engine
# What must outlive the pods of Argo CD's repo-server and of Flux' source-controller: their images run as these users.
ARGOCD_REPO=$ENGINE_FOLDER/repo
ARGOCD_USER=999
FLUX_SOURCE=$ENGINE_FOLDER/source
FLUX_USER=65534
ENGINE_SECONDS=60
# The Secret of the agent's certificate as the payload has it: without the key, which is the device's own.
AGENT_CLIENT=$STATE/agent/client-tls.yaml

# Folder of the manifests.
manifests() { "${DISTRIBUTION}_manifests"; }

engine_secrets() { echo "$(manifests)/edge-fleet-engine-secrets.yaml"; }

# Whether an engine of ours is on the device, which argocd or flux.
has_argocd() { [ -s "$(engine_secrets)" ]; }

has_flux() { [ -s "$(manifests)/edge-fleet-engine-flux.yaml" ]; }

has_engine() { has_argocd || has_flux; }

# Whether the payload brings argocd or flux; other manifests are none.
brings() { case $MANIFEST_PATHS in *"/edge-fleet-engine-$1.yaml"*) ;; *) return 1 ;; esac }

# Whether what the payload asks of this program itself is there.
engine_made() { ! brings argocd || has_argocd; }

in_argocd() {
  # shellcheck disable=SC2086
  $KUBECTL -n argocd "$@" </dev/null
}

in_flux() {
  # shellcheck disable=SC2086
  $KUBECTL -n flux-system "$@" </dev/null
}

# The engine of the settings.
in_engine() { case $ENGINE in flux) in_flux "$@" ;; *) in_argocd "$@" ;; esac }

agent_secrets() { echo "$(manifests)/edge-fleet-hub-client.yaml"; }

# The key of the device's identity, in the Secret that its agent logs in to the hub with. It never leaves the device.
prepare_agent() {
  [ -s "$AGENT_CLIENT" ] && [ -s "$STATE/identity.key" ] || return 0
  {
    cat "$AGENT_CLIENT"
    printf '  tls.key: %s\n' "$(base64 <"$STATE/identity.key" | tr -d '\n')"
  } >"$STAGE/agent-secrets"
  cmp -s "$STAGE/agent-secrets" "$(agent_secrets)" || put "$STAGE/agent-secrets" "$(agent_secrets)"
}

# $1 is a folder of the engine, $2 its user.
make_engine_folder() {
  mkdir -p "$1"
  chmod 700 "$1"
  chown "$2:$2" "$1"
  ! selinux_on || chcon -R -t container_file_t "$1" 2>/dev/null ||
    echo "$1 did not get container_file_t - install container-selinux"
}

# Before the engine's own manifests are put, and for those that come back.
make_engine_folders() {
  if brings argocd || has_argocd; then make_engine_folder "$ARGOCD_REPO" "$ARGOCD_USER"; fi
  if brings flux || has_flux; then make_engine_folder "$FLUX_SOURCE" "$FLUX_USER"; fi
}

prepare_engine() {
  make_engine_folders
  brings argocd && ! has_argocd || return 0
  {
    engine_secret argocd-secret server.secretkey
    echo ---
    engine_secret argocd-redis auth
  } >"$STAGE/engine-secrets"
  put "$STAGE/engine-secrets" "$(engine_secrets)"
}

# The datastore has them too, as they were then, and the distribution would put the newer ones of the file over them.
copy_engine_secrets() { ! has_argocd || cp -p "$(engine_secrets)" "$1/engine-secrets.yaml"; }

restore_engine_secrets() {
  has_argocd && [ -f "$1/engine-secrets.yaml" ] || return 0
  put_apart "$1/engine-secrets.yaml" "$(engine_secrets)"
}

# $1 is a Secret, $2 its key. What the cluster has stays: pods that run were started with it. The label is asked for by
# Argo CD's settings: util/settings/settings.go, https://argo-cd.readthedocs.io/en/stable/operator-manual/argocd-secret-yaml/
engine_secret() {
  value=$(in_argocd get secret "$1" -o "jsonpath={.data.$(echo "$2" | sed 's/\./\\./g')}" 2>/dev/null) || value=
  [ -n "$value" ] || value=$(head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \n' | base64 | tr -d '\n')
  cat <<END
apiVersion: v1
kind: Secret
metadata:
  name: $1
  namespace: argocd
  labels:
    app.kubernetes.io/part-of: argocd
type: Opaque
data:
  $2: $value
END
}

# In ENGINE_STATE: nothing, `ready` or `waiting: <reason>`. It is asked for until it is ready, for at most $1 seconds, and
# whatever it is, the device is as it should be: an image that cannot be pulled today is pulled when the link is there.
engine_state() {
  ENGINE_STATE=
  has_engine || return 0
  until_tick=$(($(tick) + $1))
  until engine_ready; do
    [ "$(tick)" -lt "$until_tick" ] || return 0
    case $ENGINE_STATE in *ImagePullBackOff*) return 0 ;; esac
    sleep "$POLL"
  done
  ENGINE_STATE=ready
}

# Every workload is of the manifests that are there, and all its pods are ready.
engine_ready() {
  ENGINE_STATE='waiting: the API does not answer'
  workloads=$(in_engine get deployments,statefulsets -o 'jsonpath={range .items[*]}{.spec.replicas}={.status.readyReplicas}={.status.updatedReplicas} {.metadata.generation}={.status.observedGeneration} {.spec.template.spec.containers[*].image}{"\n"}{end}') || return 1
  ENGINE_STATE='waiting: its manifests are not applied yet'
  [ -n "$workloads" ] || return 1
  for image in $(sed -n 's/^[ -]*image: *//p' "$(manifests)"/edge-fleet-engine-*.yaml | tr -d "\"'"); do
    case " $workloads" in *" $image"*) ;; *) return 1 ;; esac
  done
  if printf '%s\n' "$workloads" | awk '
    { split($1, n, "="); split($2, g, "=") }
    n[1] != n[2] || n[1] != n[3] || g[1] != g[2] { waits = 1 }
    END { exit waits }'; then return 0; fi
  ENGINE_STATE="waiting: $(engine_reason)"
  return 1
}

# Why its pods are not ready: the reason that names the most, and the image that it is about.
engine_reason() {
  reasons=$(in_engine get pods -o 'jsonpath={range .items[*].status.initContainerStatuses[*]}{.state.waiting.reason} {.image}{"\n"}{end}{range .items[*].status.containerStatuses[*]}{.state.waiting.reason} {.image}{"\n"}{end}{range .items[*].status.conditions[?(@.reason=="Unschedulable")]}{.reason}{"\n"}{end}' 2>/dev/null) || reasons=
  told=$(printf '%s\n' "$reasons" | grep '^[A-Z]' | sort -u | grep -v '^PodInitializing' | grep -v '^ContainerCreating' | head -n 1)
  [ -n "$told" ] || told=$(printf '%s\n' "$reasons" | grep '^ContainerCreating' | head -n 1)
  echo "${told:-not ready}"
}

# What stands against an engine of ours, before the first one is put: two would fight over the same objects.
engine_findings() {
  case " $PATHS " in
    *" $AGENT_CLIENT "*) [ -s "$STATE/identity.key" ] || printf 'engine\terror\tthe key of its identity, %s, is missing, which its agent logs in with - enroll the device again\n' "$STATE/identity.key" ;;
  esac
  new=
  ! brings argocd || has_argocd || new=argocd
  ! brings flux || has_flux || new=flux
  [ -n "$new" ] && started || return 0
  # shellcheck disable=SC2086
  others=$($KUBECTL get deployments,statefulsets --all-namespaces -o 'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.labels.app\.kubernetes\.io/managed-by} {.metadata.labels.app\.kubernetes\.io/name} {.metadata.labels.app\.kubernetes\.io/part-of}{"\n"}{end}' </dev/null 2>/dev/null) || others=
  argocd=$(printf '%s\n' "$others" | grep -v ' edge-fleet ' | sed -n 's/ .*argocd-application-controller.*//p' | head -n 1)
  [ "$new" = flux ] || [ -z "$argocd" ] ||
    printf 'engine\terror\tan Argo CD that edge-fleet did not install is in the namespace %s, and two would share their CRDs - remove the finalizers of its Applications, so that their workloads stay, then its namespace; or set gitops.engine: none\n' "$argocd"
  [ "$new" = argocd ] || [ -z "$argocd" ] ||
    printf 'engine\twarning\tan Argo CD that edge-fleet did not install is in the namespace %s, and both would change what both have - remove the finalizers of its Applications, so that their workloads stay, then its namespace\n' "$argocd"
  flux=$(printf '%s\n' "$others" | grep -v ' edge-fleet ' | sed -n 's/ .* flux$//p' | head -n 1)
  [ "$new" = argocd ] || [ -z "$flux" ] ||
    printf 'engine\terror\tFlux that edge-fleet did not install is in the namespace %s, and two would share their CRDs - run flux uninstall, which leaves its workloads; or set gitops.engine: none\n' "$flux"
  [ "$new" = flux ] || [ -z "$flux" ] ||
    printf 'engine\twarning\tFlux is in the namespace %s, and both would change what both have - run flux uninstall, which leaves its workloads\n' "$flux"
}
