/**
 * Fetches the admin kubeconfig of a device, wherever its distribution keeps it, and makes one for this machine of it,
 * which goes through a tunnel. A device may be in strange hands: of its file only plain credentials are taken, never
 * what would run a program or read a file here (`exec`, `tokenFile` and their like). Pure.
 */
import { parse, stringify } from "yaml";
import type { Profile } from "../../components/inventory/index.ts";
import { distributionOf } from "../../components/plan/distributions/index.ts";

/** Script, for a root shell's stdin, that prints a device's kubeconfig. */
export function readKubeconfigScript({ distribution, region }: Pick<Profile, "distribution" | "region">): string {
  const path = distributionOf({ distribution }).kubeconfig;
  const missing = `edge-fleet: kubeconfig: the device has no ${path}: no ${distribution} has run on it - run edge-fleet up ${region}`;
  return `f=\${EDGE_FLEET_ROOT-}${path}\n[ -s "$f" ] || { echo '${missing}' >&2; exit 1; }\nexec cat "$f"\n`;
}

/** A kubeconfig that goes through a tunnel. */
export interface TunnelledKubeconfig {
  /** Holds the key of the cluster's admin. */
  readonly text: string;
  /** Where the API is, as the device sees it: `<host>:<port>`. */
  readonly api: string;
}

/** Credentials as text, https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/#AuthInfo */
const CREDENTIALS = ["client-certificate-data", "client-key-data", "token", "username", "password"];

/**
 * Makes a kubeconfig for the local end of a tunnel. Cluster, user and context are named by the device, so that several may
 * be merged; the certificate is still that of the address that stood there.
 * @param text the kubeconfig of the device
 * @param port local end of the tunnel
 * @throws Error when it is none; its text is not told, it may hold a key
 */
export function tunnelKubeconfig(id: string, text: string, port: number): TunnelledKubeconfig {
  const file = recordOf(parseQuietly(text));
  const cluster = recordOf(recordOf(firstOf(file.clusters)).cluster);
  const user = textsOf(recordOf(recordOf(firstOf(file.users)).user), CREDENTIALS);
  const url = typeof cluster.server === "string" && URL.canParse(cluster.server) ? new URL(cluster.server) : undefined;
  if (url?.protocol !== "https:" || Object.keys(user).length === 0)
    throw new Error(`device ${id} has no kubeconfig with a cluster and a user - look at its edge-fleet logs ${id}`);
  const ca = textsOf(cluster, ["certificate-authority-data"]);
  const name = url.hostname.replace(/^\[|\]$/g, "");
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: id, cluster: { server: `https://127.0.0.1:${port}`, "tls-server-name": name, ...ca } }],
    users: [{ name: id, user }],
    contexts: [{ name: id, context: { cluster: id, user: id } }],
    "current-context": id,
  };
  return { text: stringify(config, { lineWidth: 0 }), api: `${url.hostname}:${url.port || "443"}` };
}

function parseQuietly(text: string): unknown {
  try {
    return parse(text, { logLevel: "silent" });
  } catch {
    return undefined;
  }
}

function firstOf(value: unknown): unknown {
  return Array.isArray(value) ? value[0] : undefined;
}

function textsOf(record: Readonly<Record<string, unknown>>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name): [string, string][] => {
      const value = record[name];
      return typeof value === "string" ? [[name, value]] : [];
    }),
  );
}

function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : {};
}
