// Only a pin: the module's manifests/ folder is read, nothing of it is compiled.
module edge-fleet.invalid/lab/argocd-manifests

go 1.26.0

require github.com/argoproj/argo-cd/v3 v3.2.11
