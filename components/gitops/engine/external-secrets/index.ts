/**
 * The External Secrets controller of a device: its Kubernetes objects and their text. It makes a Secret of each ExternalSecret
 * that the engine brings, with what the store of its SecretStore has, and leaves the Secret as it is where the store does not
 * answer. No webhook runs beside it: its definitions have one served version, so nothing is converted. What is claimed of it
 * was read at v2.9.0; the file is beside each claim. Pure.
 */
import type { types } from "@pulumi/kubernetes";
import { formatObjects } from "../../yaml.ts";
import { DNS } from "../argocd/policies.ts";
import { secretsNamespace, secretsObjects } from "../secrets-objects.ts";
import { EXTERNAL_SECRETS_KINDS, type ExternalSecretsSettings } from "./settings.ts";

const { externalsecrets: GROUP, generatorstates: GENERATORS } = EXTERNAL_SECRETS_KINDS;

/** User of the image: Dockerfile. */
const USER = 65534;

/** Port of `/healthz`: `--live-addr` of cmd/controller/root.go. */
const PORT = 8082;

/**
 * ExternalSecret and SecretStore alone (cmd/controller/root.go). Without the flood gate an ExternalSecret asks its store
 * itself, at most seven minutes after the last try (pkg/controllers/common/common.go); with it the SecretStore must have been
 * tried and found well before, which can take as long again after a link is back.
 */
const ARGUMENTS = [
  "--enable-cluster-store-reconciler=false",
  "--enable-cluster-external-secret-reconciler=false",
  "--enable-push-secret-reconciler=false",
  "--enable-cluster-push-secret-reconciler=false",
  "--enable-generator-state=false",
  "--enable-flood-gate=false",
];

/**
 * Of upstream's rights (deploy/charts/external-secrets/templates/rbac.yaml) those that its flags use. They reach every
 * namespace, since `--namespace` takes one and projects may have several. Secrets are deleted where an ExternalSecret says so
 * or gives its Secret another name. A `serviceAccountRef` of a SecretStore would need tokens of other accounts.
 */
const RULES: readonly types.input.rbac.v1.PolicyRule[] = [
  { apiGroups: [GROUP], resources: ["externalsecrets", "secretstores"], verbs: ["get", "list", "watch"] },
  { apiGroups: [GROUP], resources: ["externalsecrets"], verbs: ["patch"] },
  { apiGroups: [GROUP], resources: ["externalsecrets/status"], verbs: ["update"] },
  { apiGroups: [GROUP], resources: ["secretstores/status"], verbs: ["patch"] },
  { apiGroups: [GENERATORS], resources: ["generatorstates"], verbs: ["get", "list", "watch"] },
  {
    apiGroups: [""],
    resources: ["secrets"],
    verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
  },
  { apiGroups: [""], resources: ["configmaps"], verbs: ["get"] },
  { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
];

/** The controller's objects as one text of YAML. A store may be at any address and port: the team's SecretStores name them. */
export function renderExternalSecrets({ image }: ExternalSecretsSettings): string {
  const objects = secretsObjects("external-secrets", {
    name: "external-secrets",
    image,
    args: ARGUMENTS,
    rules: RULES,
    port: PORT,
    user: USER,
    volumes: [],
    egress: [DNS, { ports: [{ protocol: "TCP" }] }],
  });
  return formatObjects([], [secretsNamespace("external-secrets"), ...objects]);
}
