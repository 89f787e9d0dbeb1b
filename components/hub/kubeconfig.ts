/**
 * Kubeconfigs: which cluster and user the operator's one points to, read as client-go reads it, and one for a region's account that
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
  readonly context?: { readonly cluster?: string; readonly user?: string };
}

type Fields = Readonly<Record<string, unknown>>;

/** https://kubernetes.io/docs/reference/config-api/kubeconfig.v1: what of it names a cluster and a user. */
interface KubeconfigFile {
  readonly "current-context"?: string;
  /** kubectl writes null for an empty list. */
  readonly contexts?: readonly NamedContext[] | null;
  readonly clusters?: readonly { readonly name: string; readonly cluster?: Fields }[] | null;
  readonly users?: readonly { readonly name: string; readonly user?: Fields }[] | null;
}

/** A file and its path, which its relative paths are relative to. */
type Loaded = readonly [path: string, file: KubeconfigFile];

/** The files that every Kubernetes client reads: those of $KUBECONFIG, else ~/.kube/config. */
export function kubeconfigPaths(): string[] {
  const listed = (process.env.KUBECONFIG ?? "").split(delimiter).filter((path) => path !== "");
  return listed.length > 0 ? listed.map((path) => resolve(path)) : [join(homedir(), ".kube", "config")];
}

/** A cluster or a user, and the file that has it, which its relative paths are relative to. */
export interface Located {
  readonly path: string;
  readonly fields: Fields;
}

/** A context with what it names. */
export interface SelectedContext {
  /** The files, for messages. */
  readonly where: string;
  readonly name: string;
  /** Absent: no file has it. */
  readonly cluster: Located | undefined;
  /** Absent: no file has it. */
  readonly user: Located | undefined;
}

/**
 * Finds a context. Of several files the first that names a context, a cluster, a user or the current context counts, and
 * files that do not exist are passed over, as client-go does (tools/clientcmd/loader.go).
 * @param context name of the context. Default: the current one
 * @param paths files to read
 * @throws Error when no file exists, one is no kubeconfig, or the context is not there
 */
export function selectContext(context: string | undefined, paths: readonly string[]): SelectedContext {
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
  const found = findFirst(loaded, (file) => file.contexts?.find((candidate) => candidate.name === name)?.context);
  const { cluster, user } = found?.found ?? {};
  return {
    where,
    name,
    cluster: locate(loaded, (file) => file.clusters?.find((candidate) => candidate.name === cluster)?.cluster),
    user: locate(loaded, (file) => file.users?.find((candidate) => candidate.name === user)?.user),
  };
}

/**
 * The cluster of a context.
 * @param context name of the context. Default: the current one
 * @param paths files to read. Default: {@link kubeconfigPaths}
 * @throws Error as {@link selectContext}, or when its cluster has no server or CA
 */
export function readCluster(context?: string, paths: readonly string[] = kubeconfigPaths()): Cluster {
  const { where, name, cluster } = selectContext(context, paths);
  const server = cluster?.fields.server;
  const certificateAuthorityData = cluster && authorityOf(cluster);
  if (typeof server !== "string" || certificateAuthorityData === undefined) {
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

function locate(loaded: readonly Loaded[], find: (file: KubeconfigFile) => Fields | undefined): Located | undefined {
  const first = findFirst(loaded, find);
  return first && { path: first.path, fields: first.found };
}

function authorityOf({ path, fields }: Located): string | undefined {
  const inline = fields["certificate-authority-data"];
  const named = fields["certificate-authority"];
  if (typeof inline === "string") return inline;
  if (typeof named !== "string") return undefined;
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
