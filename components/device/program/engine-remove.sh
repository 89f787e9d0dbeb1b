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
  # K0s deletes by itself what a file that is gone has made, so there the files go last.
  [ "$DISTRIBUTION" = k0s ] || rm -f "$@"
  case "$*" in *edge-fleet-engine-*) remove_engine || die "engine: it could not be taken away - read $LOG, then run again" ;; esac
  [ "$DISTRIBUTION" = k0s ] || delete_objects "$below" "$@"
  rm -f "$@"
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

remove_engine() {
  end_engine && release_applications || return 1
  in_engine delete secret argocd-secret argocd-redis --ignore-not-found || :
  rm -f "$(engine_secrets)"
  optional "${DISTRIBUTION}_forget_manifest" "$(engine_secrets)"
  rm -rf "$ENGINE_FOLDER"
}

# One after the other, so that no collector of garbage has to come. A pod that does not end is ended by force.
end_engine() {
  in_engine delete deployments,statefulsets,replicasets,pods --all --ignore-not-found --wait=false || return 1
  end=$(($(tick) + ENGINE_END_SECONDS))
  while pods=$(in_engine get pods -o name) && [ -n "$pods" ]; do
    if [ "$(tick)" -ge "$end" ]; then
      in_engine delete pods --all --force --grace-period=0 --wait=false
      return
    fi
    sleep "$POLL"
  done
}

# An engine whose definitions never came has no Applications.
release_applications() {
  for kind in applications appprojects; do
    # shellcheck disable=SC2086
    [ -n "$($KUBECTL get crd "$kind.argoproj.io" --ignore-not-found -o name </dev/null)" ] || continue
    kept=$(in_engine get "$kind.argoproj.io" -o name) || return 1
    for each in $kept; do
      in_engine patch "$each" --type=merge -p '{"metadata":{"finalizers":null}}' || return 1
      in_engine delete "$each" --ignore-not-found --wait=false || return 1
    done
  done
}
