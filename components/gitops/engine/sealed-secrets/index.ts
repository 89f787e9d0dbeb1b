/**
 * The Sealed Secrets controller of a device: its Kubernetes objects and their text. It makes a Secret of each
 * SealedSecret that the engine brings, with keys that it is given and no others: it makes none by itself, as nobody
 * would have sealed for one. Its API, which hands out the certificate and seals anew, has no Service and no way in: the
 * certificate is in the region's lock. What is claimed of it was read at v0.40.0; the file is beside each claim. Pure.
 */
import type { types } from "@pulumi/kubernetes";
import { formatObjects } from "../../yaml.ts";
import { secretsObjects } from "../secrets-objects.ts";
import type { SealedSecretsSettings } from "./settings.ts";

/** User of the image: docker/controller.Dockerfile. */
const USER = 1001;

/** Port of `/healthz`: pkg/controller/server.go. */
const PORT = 8080;

/**
 * Tries to open one before it waits for a change of it, at growing distances from 5 ms on (client-go, util/workqueue): about
 * twenty minutes. Upstream's 5 are over in a third of a second, and an API server that starts on a slow card takes longer.
 */
const TRIES = 18;

/**
 * Of upstream's rights (controller.jsonnet) it has those that its flags use: Secrets are deleted by `--old-gc-behavior`, and
 * namespaces are read with `--additional-namespaces`. It has to write Secrets of every namespace: that is what it is for.
 */
const RULES: readonly types.input.rbac.v1.PolicyRule[] = [
  { apiGroups: ["bitnami.com"], resources: ["sealedsecrets"], verbs: ["get", "list", "watch"] },
  { apiGroups: ["bitnami.com"], resources: ["sealedsecrets/status"], verbs: ["update"] },
  { apiGroups: [""], resources: ["secrets"], verbs: ["get", "list", "watch", "create", "update"] },
  { apiGroups: [""], resources: ["events"], verbs: ["create", "patch"] },
];

/** The controller's objects as one text of YAML. Its namespace comes with the keys, see components/plan/sealing.ts. */
export function renderSealedSecrets({ image, keys }: SealedSecretsSettings): string {
  const objects = secretsObjects("sealed-secrets", {
    name: "sealed-secrets-controller",
    image,
    args: ["--key-renew-period=0", `--max-unseal-retries=${TRIES}`, "--log-format=json"],
    rules: RULES,
    port: PORT,
    user: USER,
    volumeMounts: [{ name: "certificates", mountPath: "/certificates", readOnly: true }],
    volumes: [certificates(keys)],
  });
  return formatObjects([], objects);
}

/**
 * It reads its keys when it starts, and makes one where it finds none (pkg/controller/main.go, initKeyRenewal). So its pod
 * mounts a certificate of each: a kubelet starts no pod before the Secrets of its volumes are there.
 */
function certificates(keys: readonly string[]): types.input.core.v1.Volume {
  const sources = keys.map((name) => ({ secret: { name, items: [{ key: "tls.crt", path: `${name}.crt` }] } }));
  return { name: "certificates", projected: { sources } };
}
