/**
 * Argo CD's server of a control plane, for those who want its page: what it changes of the install's objects, and the
 * Secrets that it reads. Nobody logs in but through single sign-on, and nobody sees anything but by a group. Each key
 * is one that argo-cd v3.2.11 reads: util/settings/settings.go, util/settings/accounts.go, util/rbac/rbac.go. Pure.
 */
import type * as pulumi from "@pulumi/pulumi";
import { stringify } from "yaml";
import type { HubSettings } from "../inventory/hub-schema.ts";
import type { ManifestObject } from "./manifests.ts";

/** A server, with what is secret of it. */
export interface HubServer extends NonNullable<HubSettings["server"]> {
  /** Secret of the client at the OpenID Connect provider. */
  readonly clientSecret: pulumi.Input<string>;
  /** Certificate chain and key, PEM. Default: see `hub.server` of fleet.yaml. */
  readonly tls?: { readonly certificate: pulumi.Input<string>; readonly key: pulumi.Input<string> } | undefined;
}

/** Port on which the pod serves its page and its API, with TLS. */
const SERVER_PORT = 8080;
const NAME = "argocd-server";
/** What stands for the region's name in the URL. */
const REGION = "{region}";
/** Secret of the client. By its label Argo CD may refer to it, as `$<name>:<key>`. */
const SSO_SECRET = { name: "edge-fleet-sso", key: "clientSecret" };
/** Secret that goes before the certificate which the server makes for itself. */
const TLS_SECRET = "argocd-server-tls";

/** Keys of the hub's stack configuration, `edge-fleet:<key>`. */
export const SERVER_SECRET_KEYS = {
  client: "ssoClientSecret",
  certificate: "serverTlsCertificate",
  key: "serverTlsKey",
} as const;

/**
 * The server of fleet.yaml with its secrets.
 * @param secrets of the hub's stack by key
 * @returns undefined where fleet.yaml wants none
 * @throws Error naming the key that is missing; never with a secret
 */
export function openServer(
  settings: HubSettings["server"],
  secrets: Readonly<Record<string, string | undefined>>,
): HubServer | undefined {
  if (settings === undefined) return undefined;
  const { client, certificate: certificateKey, key: privateKey } = SERVER_SECRET_KEYS;
  const clientSecret = secrets[client];
  if (!clientSecret)
    throw new Error(
      `edge-fleet:${client} is not set, and hub.server needs it - pulumi config set --secret edge-fleet:${client}`,
    );
  const [certificate, key] = [secrets[certificateKey], secrets[privateKey]];
  if (!certificate && !key) return { ...settings, clientSecret };
  if (!certificate || !key) {
    const missing = certificate ? privateKey : certificateKey;
    throw new Error(
      `edge-fleet:${missing} is not set, and its other half is - pulumi config set --secret edge-fleet:${missing}`,
    );
  }
  return { ...settings, clientSecret, tls: { certificate, key } };
}

/** A Secret of the server. */
export interface ServerSecret {
  /** What it is for: part of the resource's name. */
  readonly role: "sso" | "tls";
  readonly metadata: { readonly name: string; readonly labels: Readonly<Record<string, string>> };
  readonly type: "Opaque" | "kubernetes.io/tls";
  readonly stringData: Readonly<Record<string, pulumi.Input<string>>>;
}

/** The Secrets that the server reads; without a namespace. */
export function serverSecrets({ clientSecret, tls }: HubServer): ServerSecret[] {
  const metadata = (name: string) => ({ name, labels: { "app.kubernetes.io/part-of": "argocd" } });
  const { name, key } = SSO_SECRET;
  const sso: ServerSecret = {
    role: "sso",
    metadata: metadata(name),
    type: "Opaque",
    stringData: { [key]: clientSecret },
  };
  if (tls === undefined) return [sso];
  const stringData = { "tls.crt": tls.certificate, "tls.key": tls.key };
  return [sso, { role: "tls", metadata: metadata(TLS_SECRET), type: "kubernetes.io/tls", stringData }];
}

/** The server of one region, with its name in the URL. */
export function serverOfRegion(server: HubServer, region: string): HubServer {
  return { ...server, url: server.url.replaceAll(REGION, region) };
}

/** The install's objects with the settings of a region's server. @param objects of a control plane with a server */
export function withServer(objects: readonly ManifestObject[], server: HubServer): ManifestObject[] {
  return objects.map((object) => {
    switch (`${object.kind}/${object.metadata.name}`) {
      case "ConfigMap/argocd-cm":
        return { ...object, data: { ...(object.data as object), ...serverSettings(server) } };
      case "ConfigMap/argocd-rbac-cm":
        return { ...object, data: rights(server) };
      case `Service/${NAME}`:
        return exposed(object, server);
      case `NetworkPolicy/${NAME}-network-policy`:
        return { ...object, spec: { ...(object.spec as object), ingress: [peers(server)] } };
      default:
        return object;
    }
  });
}

function serverSettings({ url, sso }: HubServer): Readonly<Record<string, string>> {
  const { issuer, clientId, name, scopes, ca } = sso;
  const oidc = {
    name,
    issuer,
    clientID: clientId,
    clientSecret: `$${SSO_SECRET.name}:${SSO_SECRET.key}`,
    requestedScopes: scopes,
    ...(ca === undefined ? {} : { rootCA: ca }),
  };
  return {
    url,
    "admin.enabled": "false",
    "users.anonymous.enabled": "false",
    "exec.enabled": "false",
    "oidc.config": stringify(oidc),
  };
}

/** `policy.default` is empty: who is in no group has no right. Names may have what parts the fields of a CSV line. */
function rights({ sso }: HubServer): Readonly<Record<string, string>> {
  const lines = Object.entries(sso.groups).map(([group, role]) => `g, "${group}", role:${role}\n`);
  return { "policy.default": "", "policy.csv": lines.join(""), scopes: JSON.stringify([sso.groupsClaim]) };
}

function exposed(object: ManifestObject, { service, annotations, sourceRanges }: HubServer): ManifestObject {
  return {
    ...object,
    metadata: { ...object.metadata, ...(Object.keys(annotations).length === 0 ? {} : { annotations }) },
    spec: {
      ...(object.spec as object),
      type: service,
      // With Cluster the addresses are those of nodes by the time that the policy looks at them.
      ...(service === "ClusterIP" ? {} : { externalTrafficPolicy: "Local" }),
      ...(service === "LoadBalancer" && sourceRanges.length > 0 ? { loadBalancerSourceRanges: sourceRanges } : {}),
    },
  };
}

/** Upstream's policy admits everybody to every port, that of the metrics too. */
function peers({ sourceRanges }: HubServer): object {
  const from = sourceRanges.map((cidr) => ({ ipBlock: { cidr } }));
  return { ...(from.length === 0 ? {} : { from }), ports: [{ protocol: "TCP", port: SERVER_PORT }] };
}
