/**
 * Asks a Kubernetes API as the user of a kubeconfig, for what the engine has no way to ask: it fails a run over an object
 * that is not there. Credentials are read as client-go reads them, from the file or from the program that it names.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { dirname, resolve } from "node:path";
import { promisify } from "node:util";
import { kubeconfigPaths, type Located, selectContext } from "./kubeconfig.ts";

/** How to reach an API server, and as whom. */
export interface ApiAccess {
  /** Its URL. */
  readonly server: string;
  /** PEM. Absent: the authorities that Node.js knows. */
  readonly ca?: Buffer | undefined;
  /** PEM, with {@link key}. Absent: no certificate. */
  readonly cert?: Buffer | undefined;
  /** PEM. Absent: as {@link cert}. */
  readonly key?: Buffer | undefined;
  /** Absent: none. */
  readonly token?: string | undefined;
}

/** Milliseconds for one answer, and for a program that makes credentials. */
const TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** ExecConfig of https://kubernetes.io/docs/reference/config-api/kubeconfig.v1 */
interface ExecConfig {
  readonly apiVersion: string;
  readonly command: string;
  readonly args?: readonly string[] | null;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null;
}

/**
 * The access of a context.
 * @param context name of the context. Default: the current one
 * @param paths files to read. Default: {@link kubeconfigPaths}
 * @throws Error as `selectContext`, when the context has no server, or its program gives no credentials; never with one
 */
export async function readAccess(context?: string, paths: readonly string[] = kubeconfigPaths()): Promise<ApiAccess> {
  const { where, name, cluster, user } = selectContext(context, paths);
  const server = cluster?.fields.server;
  if (typeof server !== "string")
    throw new Error(`${where}: the context "${name}" has no server - add it, or use another context`);
  const ca = pemOf(cluster, "certificate-authority");
  return { server: server.replace(/\/$/, ""), ca, ...(user === undefined ? {} : await credentialsOf(user)) };
}

async function credentialsOf(user: Located): Promise<Pick<ApiAccess, "cert" | "key" | "token">> {
  const { path, fields } = user;
  const { token, tokenFile, exec } = fields;
  const pair = { cert: pemOf(user, "client-certificate"), key: pemOf(user, "client-key") };
  if (typeof token === "string") return { ...pair, token };
  if (typeof tokenFile === "string")
    return { ...pair, token: readFileSync(resolve(dirname(path), tokenFile), "utf8").trim() };
  return exec === undefined ? pair : runExec(path, exec as ExecConfig);
}

function pemOf(located: Located | undefined, name: string): Buffer | undefined {
  const [inline, file] = [located?.fields[`${name}-data`], located?.fields[name]];
  if (typeof inline === "string") return Buffer.from(inline, "base64");
  return typeof file === "string" ? readFileSync(resolve(dirname(located?.path ?? ""), file)) : undefined;
}

/** https://kubernetes.io/docs/reference/config-api/client-authentication.v1 */
interface ExecCredential {
  readonly status?: Partial<Record<"token" | "clientCertificateData" | "clientKeyData", string>>;
}

async function runExec(
  path: string,
  { apiVersion, command, args, env }: ExecConfig,
): Promise<Pick<ApiAccess, "cert" | "key" | "token">> {
  const info = { apiVersion, kind: "ExecCredential", spec: { interactive: false } };
  const added = Object.fromEntries((env ?? []).map(({ name, value }) => [name, value]));
  const options = {
    timeout: TIMEOUT_MS,
    env: { ...process.env, ...added, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
  };
  const { stdout, code } = await promisify(execFile)(command, [...(args ?? [])], options).then(
    (ended) => ({ stdout: ended.stdout, code: 0 }),
    (error: { readonly code?: number | string }) => ({ stdout: "{}", code: error.code }),
  );
  const { token, clientCertificateData, clientKeyData } = parseCredential(stdout)?.status ?? {};
  if (token === undefined && clientCertificateData === undefined)
    throw new Error(`kubeconfig ${path}: ${command} gives no token (exit code ${code}) - log in and run again`);
  const pem = (text: string | undefined) => (text === undefined ? undefined : Buffer.from(text));
  return { token, cert: pem(clientCertificateData), key: pem(clientKeyData) };
}

/** Without the parser's message: what the program printed may hold a secret. */
function parseCredential(text: string): ExecCredential | undefined {
  try {
    return JSON.parse(text) as ExecCredential;
  } catch {
    return undefined;
  }
}

/** What is asked. */
export interface ApiRequest {
  readonly path: string;
  /** Default: GET. */
  readonly method?: "GET" | "POST";
  /** Media type of the answer. Default: application/json. */
  readonly accept?: string;
  /** Sent as JSON. Default: nothing. */
  readonly body?: object;
}

/** What is answered. */
export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
}

/** One request. @throws Error when the server does not answer in time, or with more than 64 MiB */
export function callApi(access: ApiAccess, { path, method = "GET", accept, body }: ApiRequest): Promise<ApiAnswer> {
  const { server, token, ca, cert, key } = access;
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const headers = {
    accept: accept ?? "application/json",
    ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    ...(payload === undefined ? {} : { "content-type": "application/json" }),
  };
  return new Promise((done, reject) => {
    const fail = (error: Error): void => reject(new Error(`${server} does not answer: ${error.message} - try again`));
    const call = request(`${server}${path}`, { ca, cert, key, method, headers, timeout: TIMEOUT_MS }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_ANSWER_BYTES) call.destroy(new Error(`the answer has over ${MAX_ANSWER_BYTES / 2 ** 20} MiB`));
        else chunks.push(chunk);
      });
      response.once("end", () =>
        done({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }),
      );
      response.once("error", fail);
    });
    call.once("error", fail);
    call.once("timeout", () => call.destroy(new Error(`nothing in ${TIMEOUT_MS / 1000} s`)));
    call.end(payload);
  });
}
