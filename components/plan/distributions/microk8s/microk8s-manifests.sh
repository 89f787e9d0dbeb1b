# Manifests on MicroK8s: the snap has no folder from which they are applied, so they lie in one of ours and this program
# applies them: in a run, after a restore, and in maintenance what has changed or is gone.
# shellcheck shell=sh disable=SC2034,SC2086,SC2154,SC2317
MICROK8S_APPLIED=$STATE/manifests/applied

microk8s_manifests() { echo "$STATE/manifests"; }

# What was applied is kept, so that only what has changed or is gone is applied again, and what left a file is deleted.
microk8s_apply_manifests() {
  unapplied=0
  mkdir -p "$MICROK8S_APPLIED"
  for file in "$STATE"/manifests/*.yaml; do
    [ -f "$file" ] || continue
    former=$MICROK8S_APPLIED/${file##*/}
    ! cmp -s "$file" "$former" || ! $KUBECTL get -f "$file" >/dev/null 2>&1 || continue
    if microk8s_apply "$file"; then microk8s_prune_manifest "$former" "$file"; else unapplied=1; fi
  done
  return "$unapplied"
}

# A kind is known a moment after its definition is applied.
microk8s_apply() {
  for attempt in 1 2 3; do
    ! timeout 60 $KUBECTL apply --server-side --force-conflicts --field-manager=edge-fleet -f "$1" || return 0
    sleep "$POLL"
  done
  echo "$1 could not be applied: the next hour tries again"
  return 1
}

microk8s_prune_manifest() {
  now=$($KUBECTL get --ignore-not-found -o name -f "$2") || return 0
  # A name says nothing of the namespace. Each of our files has one, and that of another engine another one than before.
  [ ! -f "$1" ] || namespace=$(sed -n 's/^ *namespace: *//p' "$1" | head -n 1)
  [ ! -f "$1" ] || for object in $($KUBECTL get --ignore-not-found -o name -f "$1" 2>/dev/null); do
    case "
$now
" in *"
$object
"*) ;; *) $KUBECTL -n "${namespace:-default}" delete "$object" --ignore-not-found --wait=false </dev/null || : ;; esac
  done
  cp "$2" "$1"
}

microk8s_forget_manifest() { rm -f "$MICROK8S_APPLIED/${1##*/}"; }
