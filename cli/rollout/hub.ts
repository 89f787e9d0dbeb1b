/**
 * Reads the Applications of a region's control plane on the hub: from a kubeconfig to the objects' status, page by page.
 * A reader needs `list` on Applications in the namespaces `argocd-<region>` and nothing else.
 */
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { UsageError } from "../exit.ts";
import { runProgram } from "../process.ts";
import type { ObservedApplication } from "./status.ts";

/** How to reach an API server, and as whom. */
interface Access {
  readonly server: string;
  readonly ca: Buffer | undefined;
  readonly cert: Buffer | undefined;
  readonly key: Buffer | undefined;
  readonly token: string | undefined;
}

/** https://kubernetes.io/docs/reference/config-api/kubeconfig.v1 */
interface Kubeconfig {
  readonly "current-context"?: string;
  readonly contexts?: readonly { readonly name: string; readonly context: { cluster: string; user: string } }[];
  readonly clusters?: readonly { readonly name: string; readonly cluster: Readonly<Record<string, string>> }[];
  readonly users?: readonly { readonly name: string; readonly user: User }[];
}

interface User extends Readonly<Record<string, unknown>> {
  readonly exec?: {
    readonly apiVersion: string;
    readonly command: string;
    readonly args?: readonly string[];
    readonly env?: readonly { readonly name: string; readonly value: string }[];
  };
}

interface Page {
  readonly items: readonly ObservedApplication[];
  readonly metadata?: { readonly continue?: string };
}

const PAGE = 100;
const TIMEOUT_MS = 30_000;
const MAX_PAGE_BYTES = 64 * 1024 * 1024;

/**
 * The Applications in a namespace.
 * @param kubeconfig path of the file
 * @throws UsageError when the file is no kubeconfig, or the server does not let its user read them
 */
export async function listApplications(
  kubeconfig: string,
  namespaces: readonly string[],
): Promise<ObservedApplication[]> {
  const access = await readAccess(kubeconfig);
  const applications: ObservedApplication[] = [];
  for (const namespace of namespaces) {
    let next: string | undefined;
    do {
      const query = new URLSearchParams({ limit: String(PAGE), ...(next === undefined ? {} : { continue: next }) });
      const path = `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applications?${query}`;
      const page = await getPage(access, path, namespace, kubeconfig);
      // Only what is used is kept: the list of an Application's resources is most of its size.
      for (const { metadata, status } of page.items)
        applications.push({
          metadata: { name: metadata.name, annotations: metadata.annotations ?? {} },
          ...(status === undefined ? {} : { status: pick(status) }),
        });
      next = page.metadata?.continue || undefined;
    } while (next !== undefined);
  }
  return applications;
}

function pick(status: NonNullable<ObservedApplication["status"]>): NonNullable<ObservedApplication["status"]> {
  const { sync, health, operationState, reconciledAt, history } = status;
  return {
    ...(sync === undefined ? {} : { sync }),
    ...(health === undefined ? {} : { health }),
    ...(operationState?.phase === undefined ? {} : { operationState: { phase: operationState.phase } }),
    ...(reconciledAt === undefined ? {} : { reconciledAt }),
    ...(history === undefined
      ? {}
      : { history: history.map(({ revision, deployedAt }) => ({ revision, deployedAt })) }),
  };
}

async function getPage(access: Access, path: string, namespace: string, kubeconfig: string): Promise<Page> {
  const { status, text } = await get(access, path);
  if (status === 200) return JSON.parse(text) as Page;
  const what = `applications in namespace ${namespace} of ${access.server}`;
  if (status === 401 || status === 403)
    throw new UsageError(`${kubeconfig}: its user may not list ${what} (${status}) - use a user that may`);
  if (status === 404) throw new UsageError(`${kubeconfig}: there are no ${what} - use the hub's kubeconfig`);
  throw new Error(`${kubeconfig}: listing ${what} answers ${status} - look at the hub and run again`);
}

function get(access: Access, path: string): Promise<{ readonly status: number; readonly text: string }> {
  const { server, token, ca, cert, key } = access;
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(new Error(`${server} does not answer: ${error.message} - try again`));
    const call = request(
      `${server.replace(/\/$/, "")}${path}`,
      { ca, cert, key, timeout: TIMEOUT_MS, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on("data", (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_PAGE_BYTES) call.destroy(new Error(`the answer has over ${MAX_PAGE_BYTES / 2 ** 20} MiB`));
          else chunks.push(chunk);
        });
        response.once("end", () =>
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
        );
        response.once("error", fail);
      },
    );
    call.once("error", fail);
    call.once("timeout", () => call.destroy(new Error(`nothing in ${TIMEOUT_MS / 1000} s`)));
    call.end();
  });
}

async function readAccess(path: string): Promise<Access> {
  const file = readKubeconfig(path);
  const context = file.contexts?.find(({ name }) => name === file["current-context"])?.context;
  const cluster = file.clusters?.find(({ name }) => name === context?.cluster)?.cluster;
  const user = file.users?.find(({ name }) => name === context?.user)?.user ?? {};
  if (cluster?.server === undefined)
    throw new UsageError(
      `${path}: its current context has no server - set the context with kubectl config use-context`,
    );
  const load = (fields: Readonly<Record<string, unknown>>, name: string): Buffer | undefined => {
    const [data, from] = [fields[`${name}-data`], fields[name]];
    if (typeof data === "string") return Buffer.from(data, "base64");
    return typeof from === "string" ? readFileSync(resolve(dirname(path), from)) : undefined;
  };
  return {
    server: cluster.server,
    ca: load(cluster, "certificate-authority"),
    cert: load(user, "client-certificate"),
    key: load(user, "client-key"),
    token: await tokenOf(path, user),
  };
}

function readKubeconfig(path: string): Kubeconfig {
  try {
    const value: unknown = parse(readFileSync(path, "utf8"));
    if (typeof value === "object" && value !== null) return value as Kubeconfig;
  } catch (error) {
    throw new UsageError(`${path}: ${(error as Error).message.split("\n", 1)[0]} - use the hub's kubeconfig`);
  }
  throw new UsageError(`${path}: is no kubeconfig - use the hub's kubeconfig`);
}

/** A token as written, from a file, or from the program that the kubeconfig names for it. */
async function tokenOf(path: string, user: User): Promise<string | undefined> {
  const { token, tokenFile, exec } = user;
  if (typeof token === "string") return token;
  if (typeof tokenFile === "string") return readFileSync(resolve(dirname(path), tokenFile), "utf8").trim();
  if (exec === undefined) return undefined;
  const info = { apiVersion: exec.apiVersion, kind: "ExecCredential", spec: { interactive: false } };
  const result = await runProgram(exec.command, exec.args ?? [], {
    timeoutMs: TIMEOUT_MS,
    environment: {
      ...Object.fromEntries((exec.env ?? []).map(({ name, value }) => [name, value])),
      KUBERNETES_EXEC_INFO: JSON.stringify(info),
    },
  });
  try {
    const { status } = JSON.parse(result.stdout) as { readonly status?: { readonly token?: string } };
    if (status?.token !== undefined) return status.token;
  } catch {
    // Told below: what it printed may hold a secret.
  }
  throw new UsageError(`${path}: ${exec.command} gives no token (exit code ${result.exitCode}) - log in and run again`);
}
