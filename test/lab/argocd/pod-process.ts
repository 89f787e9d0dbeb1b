/**
 * A process of an emitted Deployment outside a pod: started with its container's arguments and environment, what those refer
 * to read from the API server, and the rights of its own account. For tests.
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parse, stringify } from "yaml";
import { callApi } from "../hub/api.ts";
import { startLogged, stopProcess } from "./index.ts";

/** What of a Deployment is looked at. */
export interface EmittedDeployment {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: {
    readonly template: {
      readonly spec: {
        readonly serviceAccountName: string;
        readonly containers: readonly [{ readonly args: readonly string[]; readonly env: readonly Variable[] }];
      };
    };
  };
}

interface Reference {
  readonly name: string;
  readonly key: string;
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly configMapKeyRef?: Reference; readonly secretKeyRef?: Reference };
}

/** How a process is started. */
export interface PodProcessOptions {
  /** What the container's image starts. */
  readonly program: { readonly command: string; readonly args: readonly string[] };
  /** Of a cluster administrator, on the API server that has the Deployment's account and what its environment refers to. */
  readonly kubeconfigPath: string;
  readonly deployment: EmittedDeployment;
  /** Variables that say where things are, which a pod's network makes different. */
  readonly places: Readonly<Record<string, string>>;
  /** Folder for its log and its kubeconfig. */
  readonly directory: string;
}

/** A process that runs, until it is stopped or ends by itself. */
export class PodProcess {
  readonly #child: ChildProcess;
  readonly #logFile: string;

  private constructor(child: ChildProcess, logFile: string) {
    this.#child = child;
    this.#logFile = logFile;
  }

  /** Starts one. @throws Error when the API server lacks something that the environment refers to */
  static async start({ program, kubeconfigPath, deployment, places, directory }: PodProcessOptions) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const admin = readFileSync(kubeconfigPath, "utf8");
    const { serviceAccountName, containers } = deployment.spec.template.spec;
    const { namespace } = deployment.metadata;
    const own = join(directory, "kubeconfig");
    writeFileSync(own, await accountKubeconfig(admin, namespace, serviceAccountName), { mode: 0o600 });
    const env = { ...(await environment(admin, namespace, containers[0].env)), ...places, HOME: directory };
    const logFile = join(directory, "log");
    const args = [...program.args, ...containers[0].args, "--kubeconfig", own];
    const child = startLogged(program.command, args, env, logFile);
    return new PodProcess(child, logFile);
  }

  log(): string {
    return readFileSync(this.#logFile, "utf8");
  }

  stop(): Promise<void> {
    return stopProcess(this.#child);
  }
}

async function environment(
  admin: string,
  namespace: string,
  variables: readonly Variable[],
): Promise<Record<string, string>> {
  const entries = variables.map(async ({ name, value = "", valueFrom: { configMapKeyRef, secretKeyRef } = {} }) => {
    if (configMapKeyRef !== undefined) return [name, await referred(admin, namespace, "configmaps", configMapKeyRef)];
    if (secretKeyRef === undefined) return [name, value];
    const text = await referred(admin, namespace, "secrets", secretKeyRef);
    return [name, Buffer.from(text, "base64").toString("utf8")];
  });
  return Object.fromEntries(await Promise.all(entries)) as Record<string, string>;
}

async function referred(admin: string, namespace: string, plural: string, { name, key }: Reference): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/${plural}/${name}`;
  const { body } = await callApi(admin, "GET", path);
  const value = (body as { data?: Record<string, string> }).data?.[key];
  if (value === undefined) throw new Error(`${path}: has no ${key}`);
  return value;
}

async function accountKubeconfig(admin: string, namespace: string, account: string): Promise<string> {
  const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${account}/token`;
  const request = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 7200 } };
  const { body } = await callApi(admin, "POST", path, request);
  const token = (body as { status?: { token?: string } }).status?.token;
  if (token === undefined) throw new Error(`${path}: ${JSON.stringify(body)}`);
  const file = parse(admin) as { users: [{ name: string }] };
  return stringify({ ...file, users: [{ name: file.users[0].name, user: { token } }] });
}
