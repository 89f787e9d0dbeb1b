/**
 * The admin kubeconfig of a device: from where each distribution keeps it and what stands in it to one for this machine,
 * which goes through a tunnel. Pure.
 */
import { isMap, isSeq, parseDocument } from "yaml";
import type { Profile } from "../../components/inventory/index.ts";

/**
 * Path on the device. https://docs.k3s.io/cluster-access, https://docs.k0sproject.io/stable/configuration-validation/
 * (`k0s kubeconfig admin` reads the same), https://microk8s.io/docs/working-with-kubectl (`microk8s config`).
 */
const PATHS: Readonly<Record<Profile["distribution"], string>> = {
  k3s: "/etc/rancher/k3s/k3s.yaml",
  k0s: "/var/lib/k0s/pki/admin.conf",
  microk8s: "/var/snap/microk8s/current/credentials/client.config",
};

/** Script, for a root shell's stdin, that prints a device's kubeconfig. */
export function readKubeconfigScript({ distribution, region }: Pick<Profile, "distribution" | "region">): string {
  const missing = `edge-fleet: kubeconfig: the device has no ${PATHS[distribution]}: no ${distribution} has run on it - run edge-fleet up ${region}`;
  return `f=\${EDGE_FLEET_ROOT-}${PATHS[distribution]}\n[ -s "$f" ] || { echo '${missing}' >&2; exit 1; }\nexec cat "$f"\n`;
}

/** A kubeconfig that goes through a tunnel. */
export interface TunnelledKubeconfig {
  /** Holds the key of the cluster's admin. */
  readonly text: string;
  /** Where the API is, as the device sees it: `<host>:<port>`. */
  readonly api: string;
}

/**
 * Points a kubeconfig to the local end of a tunnel. Cluster, user and context are named by the device, so that several
 * may be merged; the certificate is still that of the address that stood there.
 * @param text the kubeconfig of the device
 * @param port local end of the tunnel
 * @throws Error when it is none; its text is not told, it may hold a key
 */
export function tunnelKubeconfig(id: string, text: string, port: number): TunnelledKubeconfig {
  const document = parseDocument(text, { logLevel: "error" });
  const cluster = ["clusters", 0, "cluster"];
  const server = document.errors.length > 0 ? undefined : document.getIn([...cluster, "server"]);
  const url = typeof server === "string" && URL.canParse(server) ? new URL(server) : undefined;
  if (url === undefined || url.protocol !== "https:" || !isSeq(document.get("users")))
    throw new Error(`device ${id} has no kubeconfig with a cluster and a user - run edge-fleet logs ${id}`);
  document.setIn([...cluster, "server"], `https://127.0.0.1:${port}`);
  if (url.hostname !== "127.0.0.1")
    document.setIn([...cluster, "tls-server-name"], url.hostname.replace(/^\[|\]$/g, ""));
  document.setIn(["clusters", 0, "name"], id);
  document.setIn(["users", 0, "name"], id);
  const namespace = document.getIn(["contexts", 0, "context", "namespace"]);
  const context = { cluster: id, user: id, ...(typeof namespace === "string" ? { namespace } : {}) };
  document.set("contexts", document.createNode([{ name: id, context }]));
  document.set("current-context", id);
  for (const list of ["clusters", "users"]) keepFirst(document.get(list));
  return { text: document.toString({ lineWidth: 0 }), api: `${url.hostname}:${url.port || "443"}` };
}

function keepFirst(list: unknown): void {
  if (isSeq(list)) list.items = list.items.slice(0, 1).filter((item) => isMap(item));
}
