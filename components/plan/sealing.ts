/**
 * What opens Secrets that lie encrypted in Git: the Secrets of a device's sealing keys, and what stands against them.
 * The controller itself is an artifact, see artifact.ts. Pure.
 */
import { runsSealedSecrets, sealingSecretName } from "../gitops/engine/sealed-secrets/settings.ts";
import type { SecretsSource } from "../gitops/engine/secrets.ts";
import { secretsNamespace } from "../gitops/engine/secrets-objects.ts";
import { formatObjects } from "../gitops/yaml.ts";
import { isSealingKey, sealingKeyName, sealingPublicKey, sealingSecretKey } from "../identity/sealing.ts";
import type { Profile } from "../inventory/types.ts";
import type { DeviceFile } from "./distributions/distribution-plan.ts";
import { error, type Finding } from "./distributions/finding.ts";
import { PLACEHOLDER } from "./placeholder.ts";

const SOURCE: SecretsSource = "sealed-secrets";

/** What of a profile decides it. */
type Source = Pick<Profile, "id" | "region" | "joins" | "gitops" | "sealing">;

/** Keys of the secrets that hold the device's sealing keys. */
export function sealingSecretKeys(profile: Omit<Source, "id" | "region">): string[] {
  return runsSealedSecrets(profile) ? profile.sealing.map(sealingSecretKey) : [];
}

/** Names of the Secrets with the device's sealing keys, the newest first. */
export function sealingSecretNames({ sealing }: Pick<Profile, "sealing">): string[] {
  return sealing.map((certificate) => sealingSecretName(sealingKeyName(certificate)));
}

/** What stands against the sealing keys of a device: that it has none, or that the lock's is no certificate. */
export function checkSealing(profile: Source): Finding[] {
  const { region, sealing } = profile;
  if (!runsSealedSecrets(profile)) return [];
  const refuse = (what: string, fix: string) => [error("gitops.secrets", `${what} - ${fix}`)];
  if (sealing.length === 0)
    return refuse(`${region}.lock.yaml has no sealing key for it`, `run edge-fleet seal ${region} --new-key`);
  return sealing.every(isCertificate)
    ? []
    : refuse(`a sealing key of ${region}.lock.yaml is no certificate of an RSA key`, "restore the file from Git");
}

function isCertificate(certificate: string): boolean {
  try {
    sealingPublicKey(certificate);
    return true;
  } catch {
    return false;
  }
}

/**
 * Renders the Secrets and their namespace, all in one file: what leaves it leaves the cluster. Its name sorts before the
 * controller's, so that a key that is forgotten is gone when the pod for the others starts, which reads what is there then
 * and never looks again (pkg/controller/main.go of v0.40.0, initKeyRegistry).
 * @param folder of the manifests
 * @param secrets of the stack by key
 * @throws Error naming the device, the key and the fix, never the secret
 */
export function sealingFiles(
  profile: Source,
  folder: string,
  secrets: Readonly<Record<string, string>> = {},
): DeviceFile[] {
  if (!runsSealedSecrets(profile)) return [];
  const objects = profile.sealing.map((certificate) => secretOf(profile, certificate, secrets));
  const content = formatObjects([], [secretsNamespace(SOURCE), ...objects]);
  return [{ path: `${folder}/edge-fleet-sealed-secrets-keys.yaml`, mode: "0600", content, live: true, secret: true }];
}

/** The Secret as the controller finds it: pkg/controller/keys.go of Sealed Secrets v0.40.0. */
function secretOf({ id, region }: Source, certificate: string, secrets: Readonly<Record<string, string>>): object {
  const name = sealingSecretKey(certificate);
  const key = Object.hasOwn(secrets, name) ? (secrets[name] ?? "") : "";
  const refuse = (what: string) =>
    new Error(
      `device ${id}: gitops.secrets: ${what} - restore Pulumi.${region}.yaml, or make another key with edge-fleet seal ${region} --new-key and seal everything anew`,
    );
  if (key === "") throw refuse(`the stack has no secret ${name}, whose certificate is in ${region}.lock.yaml`);
  if (!matches(certificate, key)) throw refuse(`the secret ${name} is not the key of its certificate`);
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name: sealingSecretName(sealingKeyName(certificate)),
      namespace: SOURCE,
      labels: { "sealedsecrets.bitnami.com/sealed-secrets-key": "active" },
    },
    type: "kubernetes.io/tls",
    stringData: { "tls.crt": certificate, "tls.key": key },
  };
}

/** All devices of a region share most of their keys, and reading one of RSA takes a moment. */
const known = new Map<string, boolean>();

function matches(certificate: string, key: string): boolean {
  const pair = `${certificate}${key}`;
  const found = known.get(pair) ?? (key.startsWith(PLACEHOLDER) || isSealingKey(certificate, key));
  known.set(pair, found);
  return found;
}
