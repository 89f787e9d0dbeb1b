/**
 * A device with an agent, on an API server of its own: the engine's and the agent's objects as edge-fleet emits them, Argo
 * CD's controllers and the agent's process. Without nodes: what its workloads run is for other tests. For tests.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { renderDeviceEntry } from "../../../components/gitops/device-entry.ts";
import { renderAgent } from "../../../components/gitops/engine/agent/index.ts";
import { runsAgent } from "../../../components/gitops/engine/agent/settings.ts";
import { renderEngine } from "../../../components/gitops/engine/argocd/index.ts";
import type { TreeDevice, TreeInput } from "../../../components/gitops/tree-input.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { agentFiles, requireAgent } from "../../../components/plan/agent.ts";
import { type ApiAnswer, type AppliedObject, applyObject, callApi } from "../hub/api.ts";
import { type Hub, startHub } from "../hub/index.ts";
import { settle } from "../settle.ts";
import { argocdManifests, type Toolchain } from "../toolchain/index.ts";
import type { AgentProgram } from "./agent-program.ts";
import { type ArgoCd, startArgoCd } from "./index.ts";
import { type EmittedDeployment, PodProcess } from "./pod-process.ts";

const NAMESPACE = "argocd";
const APPLICATIONS = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/applications`;
const IMAGE = `lab.invalid/image:v1@sha256:${"a".repeat(64)}`;
const START_TIMEOUT_MS = 60_000;

/** What a device is made from. */
export interface AgentDeviceOptions {
  readonly toolchain: Toolchain;
  /** Does not exist yet. */
  readonly directory: string;
  readonly id: string;
  /** First of two TCP ports for the agent's metrics and health, which take none above 32767. */
  readonly port: number;
}

/** A device. */
export class AgentDevice {
  readonly id: string;
  /** As enrollment records it. */
  readonly identityKey: string;
  readonly #cluster: Hub;
  readonly #argoCd: ArgoCd;
  readonly #directory: string;
  readonly #key: string;
  readonly #port: number;
  #agent: PodProcess | undefined;

  private constructor({ id, directory, port }: AgentDeviceOptions, cluster: Hub, argoCd: ArgoCd) {
    const key = join(directory, "identity.key");
    execFileSync("ssh-keygen", ["-q", "-t", "ecdsa", "-b", "256", "-m", "PKCS8", "-N", "", "-C", "", "-f", key]);
    [this.id, this.#directory, this.#port, this.#cluster, this.#argoCd] = [id, directory, port, cluster, argoCd];
    this.#key = readFileSync(key, "utf8");
    this.identityKey = readFileSync(`${key}.pub`, "utf8").trim();
  }

  /** Starts the API server and Argo CD. @param options with `hub-apiserver`, `argocd`, `miniredis` and `kustomize` */
  static async start(options: AgentDeviceOptions): Promise<AgentDevice> {
    const { toolchain, directory } = options;
    const cluster = await startHub({ toolchain, directory: join(directory, "cluster") });
    const kubeconfig = readFileSync(cluster.kubeconfigPath, "utf8");
    const crds = join((await argocdManifests()).directory, "crds");
    for (const file of readdirSync(crds).filter((name) => /^app(lication|project)-crd\.yaml$/.test(name)))
      await applied(kubeconfig, parse(readFileSync(join(crds, file), "utf8")) as AppliedObject);
    await applyText(
      kubeconfig,
      renderEngine({ images: { argocd: IMAGE, redis: IMAGE }, memoryMiB: 4096, reconcileMinutes: 10 }),
    );
    for (const [name, field] of [
      ["argocd-secret", "server.secretkey"],
      ["argocd-redis", "auth"],
    ] as const)
      await applied(kubeconfig, {
        ...{ apiVersion: "v1", kind: "Secret", stringData: { [field]: "only-for-the-lab" } },
        metadata: { name, namespace: NAMESPACE, labels: { "app.kubernetes.io/part-of": "argocd" } },
      } as AppliedObject);
    await settle(async () => (await callApi(kubeconfig, "GET", APPLICATIONS)).status, 200, START_TIMEOUT_MS);
    const scratch = join(directory, "argocd");
    mkdirSync(scratch);
    const { kubeconfigPath } = cluster;
    const controller = "application" as const;
    const own = { toolchain, directory: scratch, kubeconfigPath, namespace: NAMESPACE, controller };
    return new AgentDevice(options, cluster, await startArgoCd(own));
  }

  /** Applies what the device program does for an agent: its objects, what it trusts, its certificate with its own key. */
  async install(profile: Profile, fleet: TreeInput, entry: TreeDevice, authorityKey: string): Promise<void> {
    const kubeconfig = this.#admin();
    for (const object of renderDeviceEntry(fleet, entry)) await applied(kubeconfig, object as AppliedObject);
    if (!runsAgent(profile)) return;
    await applyText(kubeconfig, renderAgent({ image: IMAGE, ...requireAgent(profile) }));
    for (const { content } of agentFiles(profile, "/manifests", authorityKey)) {
      const secret = parse(content) as AppliedObject & { data?: object };
      const tls = { ...secret.data, "tls.key": Buffer.from(this.#key).toString("base64") };
      await applied(kubeconfig, secret.data === undefined ? secret : ({ ...secret, data: tls } as AppliedObject));
    }
  }

  /** Starts the agent, or starts it again. @param program argocd-agent */
  async startAgent(program: AgentProgram): Promise<void> {
    await this.#agent?.stop();
    const path = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/argocd-agent-agent`;
    const deployment = (await callApi(this.#admin(), "GET", path)).body as EmittedDeployment;
    this.#agent = await PodProcess.start({
      ...{
        program,
        deployment,
        kubeconfigPath: this.#cluster.kubeconfigPath,
        directory: join(this.#directory, "agent"),
      },
      places: {
        REDIS_ADDR: this.#argoCd.redis,
        REDIS_PASSWORD: "",
        ARGOCD_AGENT_METRICS_PORT: `${this.#port}`,
        ARGOCD_AGENT_HEALTH_CHECK_PORT: `${this.#port + 1}`,
      },
    });
  }

  async stopAgent(): Promise<void> {
    await this.#agent?.stop();
  }

  /** Takes an Application away, and leaves what it has brought, as the device program does. */
  async letGo(name: string): Promise<void> {
    await this.call("PATCH", `${APPLICATIONS}/${name}`, { metadata: { finalizers: null } });
    await this.call("DELETE", `${APPLICATIONS}/${name}`);
  }

  /** What the agent has written so far. */
  agentLog(): string {
    return this.#agent?.log() ?? "";
  }

  /** One request to the device's API. */
  call(method: Parameters<typeof callApi>[1], path: string, object?: object): Promise<ApiAnswer> {
    return callApi(this.#admin(), method, path, object);
  }

  /** Its Applications' UIDs and revisions by name. */
  async applications(): Promise<Record<string, DeviceApplication>> {
    const { body } = await this.call("GET", APPLICATIONS);
    const { items } = body as { items: DeviceApplication[] };
    return Object.fromEntries(items.map((item) => [item.metadata.name, item]));
  }

  async stop(): Promise<void> {
    await this.#agent?.stop();
    await this.#argoCd.stop();
    await this.#cluster.stop();
  }

  #admin(): string {
    return readFileSync(this.#cluster.kubeconfigPath, "utf8");
  }
}

/** What of an Application on a device is looked at. */
export interface DeviceApplication {
  readonly metadata: {
    readonly name: string;
    readonly uid: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly finalizers?: readonly string[];
  };
  readonly spec: { readonly source: { readonly targetRevision: string }; readonly destination: object };
  readonly status?: { readonly sync?: { readonly status: string; readonly revision?: string } };
}

async function applyText(kubeconfig: string, text: string): Promise<void> {
  for (const document of parseAllDocuments(text)) await applied(kubeconfig, document.toJS() as AppliedObject);
}

async function applied(kubeconfig: string, object: AppliedObject): Promise<void> {
  const { status, body } = await applyObject(kubeconfig, object, "force=true");
  if (status >= 300) throw new Error(`${object.kind}: ${JSON.stringify(body)}`);
}
