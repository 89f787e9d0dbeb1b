/**
 * Kubeconfigs: which cluster the operator's one points to, read as client-go reads it, and one for a region's account that
 * holds nothing but that account's token. Pure but for reading the files.
 */
import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, dirname, join, resolve } from "node:path";
import { parse, stringify } from "yaml";

/** Where a cluster is and how to know it. */
export interface Cluster {
  /** API server URL. */
  readonly server: string;
  /** CA bundle, base64 of PEM. */
  readonly certificateAuthorityData: string;
}

interface NamedContext {
  readonly name: string;
  readonly context?: { readonly cluster?: string };
}

interface NamedCluster {
  readonly name: string;
  readonly cluster?: {
    readonly server?: string;
    readonly "certificate-authority-data"?: string;
    readonly "certificate-authority"?: string;
  };
}

/** https://kubernetes.io/docs/reference/config-api/kubeconfig.v1: what of it names a cluster. */
interface KubeconfigFile {
  readonly "current-context"?: string;
  /** kubectl writes null for an empty list. */
  readonly contexts?: readonly NamedContext[] | null;
  readonly clusters?: readonly NamedCluster[] | null;
}

/** A file and its path, which its relative paths are relative to. */
type Loaded = readonly [path: string, file: KubeconfigFile];

/** The files that every Kubernetes client reads: those of $KUBECONFIG, else ~/.kube/config. */
export function kubeconfigPaths(): string[] {
  const listed = (process.env.KUBECONFIG ?? "").split(delimiter).filter((path) => path !== "");
  return listed.length > 0 ? listed.map((path) => resolve(path)) : [join(homedir(), ".kube", "config")];
}

/**
 * The cluster of a context. Of several files the first that names a context, a cluster or the current context counts, and
 * files that do not exist are passed over, as client-go does (tools/clientcmd/loader.go).
 * @param context name of the context. Default: the current one
 * @param paths files to read. Default: {@link kubeconfigPaths}
 * @throws Error when no file exists, one is no kubeconfig, the context is not there, or its cluster has no server or CA
 */
export function readCluster(context?: string, paths: readonly string[] = kubeconfigPaths()): Cluster {
  const where = `kubeconfig ${paths.join(", ")}`;
  const loaded = paths.filter((path) => existsSync(path)).map(load);
  if (loaded.length === 0) {
    throw new Error(`${where}: does not exist - set KUBECONFIG to the kubeconfig of the hub's cluster`);
  }
  const name = context ?? loaded.map(([, file]) => file["current-context"] ?? "").find((current) => current !== "");
  const contexts = new Set(loaded.flatMap(([, file]) => (file.contexts ?? []).map((candidate) => candidate.name)));
  const known = [...contexts].join(", ") || "none";
  if (name === undefined) {
    throw new Error(`${where}: has no current context - set edge-fleet:context to one of: ${known}`);
  }
  if (!contexts.has(name)) throw new Error(`${where}: has no context "${name}" - use one of: ${known}`);
  const entry = findFirst(loaded, (file) => file.contexts?.find((candidate) => candidate.name === name));
  const clusterName = entry?.found.context?.cluster;
  const cluster = findFirst(loaded, (file) => file.clusters?.find((candidate) => candidate.name === clusterName));
  const server = cluster?.found.cluster?.server;
  const certificateAuthorityData = cluster && authorityOf(cluster.path, cluster.found);
  if (server === undefined || certificateAuthorityData === undefined) {
    throw new Error(
      `${where}: the cluster of context "${name}" has no server or no CA - add it, or use another context`,
    );
  }
  return { server, certificateAuthorityData };
}

function load(path: string): Loaded {
  try {
    const file: unknown = parse(readFileSync(path, "utf8"));
    if (typeof file === "object" && file !== null) return [path, file];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EACCES") {
      throw new Error(`kubeconfig ${path}: may not be read by this user - use a file that may, or chmod it`);
    }
  }
  throw new Error(`kubeconfig ${path}: is no kubeconfig - set KUBECONFIG to the kubeconfig of the hub's cluster`);
}

function findFirst<T>(
  loaded: readonly Loaded[],
  find: (file: KubeconfigFile) => T | undefined,
): { readonly path: string; readonly found: T } | undefined {
  for (const [path, file] of loaded) {
    const found = find(file);
    if (found !== undefined) return { path, found };
  }
  return undefined;
}

function authorityOf(path: string, { cluster }: NamedCluster): string | undefined {
  const inline = cluster?.["certificate-authority-data"];
  const named = cluster?.["certificate-authority"];
  if (inline !== undefined || named === undefined) return inline;
  const file = resolve(dirname(path), named);
  if (!existsSync(file))
    throw new Error(`kubeconfig ${path}: its certificate-authority ${file} does not exist - add it`);
  return readFileSync(file).toString("base64");
}

/**
 * A kubeconfig for one ServiceAccount. The result holds the token: keep it secret.
 * @param uid of the cluster: names it, so that who uses the kubeconfig can tell another hub
 */
export function renderKubeconfig(cluster: Cluster, uid: string, namespace: string, token: string): string {
  const name = `hub-${uid}`;
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": namespace,
    clusters: [
      {
        name,
        cluster: { server: cluster.server, "certificate-authority-data": cluster.certificateAuthorityData },
      },
    ],
    users: [{ name: namespace, user: { token } }],
    contexts: [{ name: namespace, context: { cluster: name, user: namespace, namespace } }],
  });
}
