# Manifests that are there no more, and how an engine leaves: what it has brought runs on. The controller goes first, since
# it would put finalizers back, then the finalizers, by which an Application takes its objects along, then everything else.
# shellcheck shell=sh disable=SC2034,SC2154,SC2317
ENGINE_END_SECONDS=120

# Manifests that the last state had and this one has not, the last name first, so that definitions go after what they define.
former_manifests() {
  for p in $(applied_line 4 "$PREVIOUS/files$APPLIED"); do
    case " $PATHS $INSTALL_PATHS " in *" $p "*) continue ;; esac
    case $p in "$(manifests)"/*) echo "$p" ;; esac
  done | sort -r
}

# The same of a run that is taken back.
new_manifests() {
  for p in $PATHS $INSTALL_PATHS; do
    case $p in "$(manifests)"/*) [ -e "$PREVIOUS/files$p" ] || echo "$p" ;; esac
  done | sort -r
}

# Takes the objects of manifests away, and the files. $1 is a folder that has the files below it, the others are their paths.
forget_manifests() {
  below=$1
  shift
  [ "$#" != 0 ] || return 0
  # A distribution that deletes by itself what a file that is gone has made: there the files go last.
  prunes_itself || rm -f "$@"
  case "$*" in *edge-fleet-hub-agent.yaml*) remove_agent_secrets ;; esac
  case "$*" in *edge-fleet-sealed-secrets.yaml*) keep_unsealed ;; esac
  case "$*" in *edge-fleet-external-secrets.yaml*) keep_external || die "External Secrets could not be taken away - read $LOG, then run again" ;; esac
  for each in argocd flux; do
    case "$*" in *"edge-fleet-engine-$each.yaml"*) "remove_$each" || die "engine: $each could not be taken away - read $LOG, then run again" ;; esac
  done
  prunes_itself || delete_objects "$below" "$@"
  rm -f "$@"
}

prunes_itself() { command -v "${DISTRIBUTION}_prunes_manifests" >/dev/null; }

# Secrets that Sealed Secrets has made stay, as all that an engine has brought: they would go with their owner. One that comes
# back takes them again by the annotation (pkg/controller/controller.go of v0.40.0, isAnnotatedToBeManaged).
keep_unsealed() {
  patch_owned secrets SealedSecret '{"ownerReferences":null,"annotations":{"sealedsecrets.bitnami.com/managed":"true"}}'
}

# The same of External Secrets, which takes them again without a mark. Its controller goes first, since it would put its
# finalizers back, for which the definition would wait (externalsecret_controller.go of v2.9.0, Reconcile, applyOwnership).
keep_external() {
  end_engine external_secrets || return 1
  patch_owned secrets ExternalSecret '{"ownerReferences":null}'
  patch_owned externalsecrets.external-secrets.io '' '{"finalizers":null}'
}

in_external_secrets() {
  # shellcheck disable=SC2086
  $KUBECTL -n external-secrets "$@" </dev/null
}

# Patches the metadata, $3, of the objects of a kind, $1: of those whose owner is of another, $2, or of all where that is empty.
patch_owned() {
  # shellcheck disable=SC2086
  $KUBECTL get "$1" --all-namespaces -o 'jsonpath={range .items[*]}{.metadata.namespace} {.metadata.name} {.metadata.ownerReferences[*].kind}{"\n"}{end}' </dev/null >"$STAGE/owned" || :
  while read -r namespace name owner; do
    [ -z "$2" ] || [ "$owner" = "$2" ] || continue
    # shellcheck disable=SC2086
    $KUBECTL -n "$namespace" patch "$1" "$name" --type=merge -p "{\"metadata\":$3}" </dev/null || :
  done <"$STAGE/owned"
}

remove_agent_secrets() {
  [ -s "$(agent_secrets)" ] || return 0
  # shellcheck disable=SC2086
  $KUBECTL delete --ignore-not-found --wait=false -f "$(agent_secrets)" </dev/null || :
  rm -f "$(agent_secrets)"
  optional "${DISTRIBUTION}_forget_manifest" "$(agent_secrets)"
}

# From the hub's Applications to those of the device's entry, or back: the others go and leave what they have brought, which
# two would fight over. The controller stands still meanwhile, as it would take the objects along. Those of the hub carry its
# UID (argocd-agent, internal/manager/manager.go: SourceUIDAnnotation).
hand_over() {
  [ -e "$PREVIOUS/files$(manifests)/edge-fleet-engine-argocd.yaml" ] || return 0
  before=entry
  [ ! -e "$PREVIOUS/files$(manifests)/edge-fleet-hub-agent.yaml" ] || before=hub
  case $before$ENGINE in entryargocd-agent | hubargocd) ;; *) return 0 ;; esac
  in_argocd scale statefulset argocd-application-controller --replicas=0 || return 0
  in_argocd wait --for=delete pod -l app.kubernetes.io/name=argocd-application-controller --timeout="${ENGINE_END_SECONDS}s" || :
  in_argocd get applications.argoproj.io -o 'jsonpath={range .items[*]}{.metadata.name} +{.metadata.annotations.argocd\.argoproj\.io/source-uid}{"\n"}{end}' >"$STAGE/applications" || :
  while read -r name uid; do
    from=hub
    [ "$uid" != + ] || from=entry
    [ "$from" != "$before" ] || release argocd application.argoproj.io "$name" || :
  done <"$STAGE/applications"
  in_argocd scale statefulset argocd-application-controller --replicas=1
}

delete_objects() {
  below=$1
  shift
  for p; do
    [ -f "$below$p" ] || continue
    # shellcheck disable=SC2086
    timeout 60 $KUBECTL delete --ignore-not-found --wait=false -f "$below$p" </dev/null || echo "the objects of $p could not all be deleted"
    optional "${DISTRIBUTION}_forget_manifest" "$p"
  done
}

remove_argocd() {
  end_engine argocd && release_all argocd applications.argoproj.io appprojects.argoproj.io || return 1
  in_argocd delete secret argocd-secret argocd-redis --ignore-not-found || :
  rm -f "$(engine_secrets)"
  optional "${DISTRIBUTION}_forget_manifest" "$(engine_secrets)"
  drop_engine_folder "$ARGOCD_REPO"
}

# A Kustomization prunes what it has applied by its finalizer, a source its archive.
remove_flux() {
  sources=source.toolkit.fluxcd.io
  end_engine flux && release_all flux kustomizations.kustomize.toolkit.fluxcd.io "gitrepositories.$sources" \
    "buckets.$sources" "helmcharts.$sources" "helmrepositories.$sources" "ocirepositories.$sources" || return 1
  drop_engine_folder "$FLUX_SOURCE"
}

# With the one around it, unless the other engine has its own there.
drop_engine_folder() {
  rm -rf "$1"
  rmdir "$ENGINE_FOLDER" 2>/dev/null || :
}

# Of argocd, flux or external_secrets, one after the other, so that no collector of garbage has to come. A pod that does not end is ended by force.
end_engine() {
  "in_$1" delete deployments,statefulsets,replicasets,pods --all --ignore-not-found --wait=false || return 1
  end=$(($(tick) + ENGINE_END_SECONDS))
  while pods=$("in_$1" get pods -o name) && [ -n "$pods" ]; do
    if [ "$(tick)" -ge "$end" ]; then
      "in_$1" delete pods --all --force --grace-period=0 --wait=false
      return
    fi
    sleep "$POLL"
  done
}

# $1 is the engine, the others are kinds. One whose definition never came has no objects.
release_all() {
  whose=$1
  shift
  for kind; do
    # shellcheck disable=SC2086
    [ -n "$($KUBECTL get crd "$kind" --ignore-not-found -o name </dev/null)" ] || continue
    kept=$("in_$whose" get "$kind" -o name) || return 1
    for object in $kept; do
      release "$whose" "$object" || return 1
    done
  done
}

# Deletes an object of an engine, $1, and leaves what it has brought. One of the former entry may be gone meanwhile: the
# distribution deletes it when another entry takes the place of its file.
release() {
  from=in_$1
  shift
  "$from" patch "$@" --type=merge -p '{"metadata":{"finalizers":null}}' ||
    [ -z "$("$from" get "$@" --ignore-not-found -o name)" ] || return 1
  "$from" delete "$@" --ignore-not-found --wait=false
}
