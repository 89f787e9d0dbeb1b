/**
 * The principal of a region's control plane: the process on the hub that the agents of devices connect to. Its objects,
 * and the Secrets that it reads. Pure.
 *
 * Of upstream's install (install/kubernetes/principal of argocd-agent) there is no live view: no resource proxy, no redis
 * proxy, none of their Secrets.
 */
import type { KeyPair } from "../../identity/principal.ts";
import { principalAccount, principalPolicies } from "./access.ts";
import { meta } from "./object.ts";
import { PARAMETERS, parameterData } from "./parameters.ts";
import type { PrincipalSettings } from "./settings.ts";
import { principalDeployment, principalDisruption, principalServices } from "./workload.ts";

/** Any of the principal's objects. */
export interface PrincipalObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** The objects, in the order in which they are applied; none of them holds a secret. */
export function principalObjects(settings: PrincipalSettings): PrincipalObject[] {
  const parameters = {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: meta(PARAMETERS, settings.namespace),
    data: parameterData(settings),
  };
  return [
    ...principalAccount(settings),
    parameters,
    ...principalPolicies(settings),
    ...principalServices(settings),
    principalDisruption(settings),
    principalDeployment(settings),
  ] as PrincipalObject[];
}

/** A Secret of the principal. */
export interface PrincipalSecret {
  readonly metadata: ReturnType<typeof meta>;
  readonly type: "Opaque" | "kubernetes.io/tls";
  readonly stringData: Readonly<Record<string, string>>;
}

/** What the principal reads from Secrets; the names are its defaults (internal/config/constants.go). */
export interface PrincipalSecrets {
  /** Certificate of the fleet's authority, without its key. */
  readonly authority: PrincipalSecret;
  /** Its own certificate and key; it looks at the type. */
  readonly server: PrincipalSecret;
}

/** Renders the Secrets that follow from the fleet's authority. */
export function principalSecrets(namespace: string, authority: string, server: KeyPair): PrincipalSecrets {
  return {
    authority: {
      metadata: meta("argocd-agent-ca", namespace),
      type: "Opaque",
      stringData: { "ca.crt": authority },
    },
    server: {
      metadata: meta("argocd-agent-principal-tls", namespace),
      type: "kubernetes.io/tls",
      stringData: { "tls.crt": server.certificate, "tls.key": server.key },
    },
  };
}

/** Name of the Secret with the key that signs agents' tokens, field `jwt.key`: RSA, which the principal insists on. */
export const TOKEN_KEY_SECRET = "argocd-agent-jwt";
