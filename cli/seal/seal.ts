/**
 * Makes a SealedSecret of a Secret in the clear: the object that lies in Git, whose values the holder of the private
 * key alone can read. pkg/apis/sealedsecrets/v1alpha1 of Sealed Secrets v0.40.0.
 */
import { SEALING_KEY_ANNOTATION } from "../../components/gitops/labels.ts";
import { sealingKeyName, sealingPublicKey } from "../../components/identity/sealing.ts";
import { encryptValue } from "./encrypt.ts";
import type { ClearSecret } from "./secret.ts";

/**
 * Where a SealedSecret opens: `strict` under its own name and namespace, `namespace-wide` under any name of its namespace,
 * `cluster-wide` anywhere.
 */
export const SEALING_SCOPES = ["strict", "namespace-wide", "cluster-wide"] as const;

/** One of {@link SEALING_SCOPES}. */
export type SealingScope = (typeof SEALING_SCOPES)[number];

const PREFIX = "sealedsecrets.bitnami.com";

/** The object. */
export function sealSecret(secret: ClearSecret, certificate: string, scope: SealingScope): object {
  const { name, namespace, type, immutable, labels } = secret;
  const publicKey = sealingPublicKey(certificate);
  const label = { strict: `${namespace}/${name}`, "namespace-wide": namespace, "cluster-wide": "" }[scope];
  const sealed = [...secret.values].sort(([a], [b]) => (a < b ? -1 : 1));
  const foreign = Object.entries(secret.annotations).filter(([key]) => !isScope(key));
  const scoped = scope === "strict" ? {} : { [`${PREFIX}/${scope}`]: "true" };
  const annotations = { ...Object.fromEntries(foreign), ...scoped };
  return {
    apiVersion: "bitnami.com/v1alpha1",
    kind: "SealedSecret",
    metadata: { name, namespace, annotations: { [SEALING_KEY_ANNOTATION]: sealingKeyName(certificate), ...scoped } },
    spec: {
      encryptedData: Object.fromEntries(
        sealed.map(([key, value]) => [key, encryptValue(publicKey, value, label).toString("base64")]),
      ),
      template: {
        metadata: { name, namespace, ...filled("labels", labels), ...filled("annotations", annotations) },
        ...(type === undefined ? {} : { type }),
        ...(immutable === undefined ? {} : { immutable }),
      },
    },
  };
}

function isScope(annotation: string): boolean {
  return SEALING_SCOPES.some((scope) => annotation === `${PREFIX}/${scope}`);
}

function filled(field: string, values: Readonly<Record<string, string>>): Record<string, object> {
  return Object.keys(values).length === 0 ? {} : { [field]: values };
}
