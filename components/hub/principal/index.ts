/**
 * The principals of a region's control plane: the process on the hub that the agents of devices connect to, one for each
 * release of them. Their objects, and the Secrets that they read. What two releases share is there once; the rest has the
 * release in its name, so that it stays as it is when another principal comes or goes. Pure.
 *
 * Of upstream's install (install/kubernetes/principal of argocd-agent) there is no live view: no resource proxy, no redis
 * proxy, none of their Secrets.
 */
import type { KeyPair } from "../../identity/principal.ts";
import { principalAccount, principalPolicies } from "./access.ts";
import { meta } from "./object.ts";
import { PARAMETERS, parameterData, serverSecretName } from "./parameters.ts";
import { type PrincipalRelease, type PrincipalSettings, principalName } from "./settings.ts";
import { principalDeployment, principalDisruption, principalServices } from "./workload.ts";

/** Any of their objects. */
export interface PrincipalObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** The objects, in the order in which they are applied; none of them holds a secret. */
export function principalObjects(settings: PrincipalSettings): PrincipalObject[] {
  return [
    ...principalAccount(settings),
    ...principalPolicies(settings),
    ...settings.releases.flatMap((release) => releaseObjects(settings, release)),
  ] as PrincipalObject[];
}

function releaseObjects(settings: PrincipalSettings, release: PrincipalRelease): object[] {
  const { namespace } = settings;
  const { version } = release;
  const parameters = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: meta(principalName(version, PARAMETERS), namespace, version),
    data: parameterData(namespace, version),
  };
  return [
    parameters,
    ...principalServices(settings, release),
    principalDisruption(namespace, version),
    principalDeployment(namespace, release),
  ];
}

/** A Secret of a principal. */
export interface PrincipalSecret {
  readonly metadata: ReturnType<typeof meta>;
  readonly type: "Opaque" | "kubernetes.io/tls";
  readonly stringData: Readonly<Record<string, string>>;
}

/**
 * Renders the Secret with the certificate of the fleet's authority, without its key. The name is what principals look for by
 * default (internal/config/constants.go).
 */
export function authoritySecret(namespace: string, authority: string): PrincipalSecret {
  return { metadata: meta("argocd-agent-ca", namespace), type: "Opaque", stringData: { "ca.crt": authority } };
}

/** Renders the Secret with a principal's own certificate and key; it looks at the type. */
export function serverSecret(namespace: string, version: string, { certificate, key }: KeyPair): PrincipalSecret {
  return {
    metadata: meta(serverSecretName(version), namespace, version),
    type: "kubernetes.io/tls",
    stringData: { "tls.crt": certificate, "tls.key": key },
  };
}

/** Name of the Secret with the key that signs agents' tokens, field `jwt.key`: RSA, which principals insist on. */
export const TOKEN_KEY_SECRET = "argocd-agent-jwt";
