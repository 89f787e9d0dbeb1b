// Only a pin: the module's config/crds/ folder is read, nothing of it is compiled.
module edge-fleet.invalid/lab/external-secrets

go 1.26.0

require github.com/external-secrets/external-secrets v1.3.2
