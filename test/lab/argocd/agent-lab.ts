/**
 * A region whose devices have agents, from nothing: the hub with its control plane and its principal, devices, and a tree in
 * Git, all of it as edge-fleet renders it from profiles. For tests.
 */
import { generateKeyPairSync } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type ApplicationInput, renderApplicationSets, ringPath } from "../../../components/gitops/applicationset.ts";
import { readPins, renderRing } from "../../../components/gitops/rings.ts";
import { renderTree, treeInput } from "../../../components/gitops/tree.ts";
import type { TreeDevice, TreeInput } from "../../../components/gitops/tree-input.ts";
import { planTree, writeTree } from "../../../components/gitops/writer.ts";
import { principalObjects, TOKEN_KEY_SECRET } from "../../../components/hub/principal/index.ts";
import { planPrincipals } from "../../../components/hub/principal/plan.ts";
import { principalName } from "../../../components/hub/principal/settings.ts";
import { openFleetAuthority } from "../../../components/identity/authority.ts";
import { planBlocklist } from "../../../components/identity/revocation.ts";
import type { Inventory, Profile } from "../../../components/inventory/types.ts";
import { requireAgent } from "../../../components/plan/agent.ts";
import { renderClusterSecret } from "../../../components/registration/cluster-secret.ts";
import { renderStartingCondition } from "../../../components/registration/starting-condition.ts";
import { buildProfile, gitopsOf } from "../../unit/device/profile.ts";
import { authorityKey } from "../../unit/identity/keys.ts";
import { type AppliedObject, applyObject, callApi } from "../hub/api.ts";
import type { Toolchain } from "../toolchain/index.ts";
import { AgentDevice } from "./agent-device.ts";
import { agentProgram } from "./agent-program.ts";
import { ControlPlaneLab } from "./control-plane.ts";
import { type EmittedDeployment, PodProcess } from "./pod-process.ts";

const REGION = "tokyo";
const ADDRESS = "127.0.0.1";

/** The release of argocd-agent, and another one. */
export const RELEASES = ["v0.10.0", "v0.11.0"] as const;
type Release = (typeof RELEASES)[number];

/** Ports of their principals, which share a host here. */
const PORTS: Readonly<Record<Release, number>> = { "v0.10.0": 8443, "v0.11.0": 8444 };

/**
 * How often the hub's API server is written to before a device is there, as it is years older than its devices: an agent takes a
 * version of the hub's Application for one of its own where the numbers are equal (argocd-agent acb60cd1,
 * agent/inbound.go: updateApplication).
 */
const HUB_WRITES = 1500;

/** The region. Its network must be its own: principals and agents listen on fixed ports. */
export class AgentLab {
  readonly hub: ControlPlaneLab;
  readonly devices: readonly AgentDevice[];
  readonly #directory: string;
  readonly #key = authorityKey();
  readonly #profiles: Map<string, Profile>;
  readonly #rings: readonly string[];
  readonly #principals = new Map<Release, PodProcess>();

  private constructor(
    directory: string,
    hub: ControlPlaneLab,
    devices: readonly AgentDevice[],
    rings: Readonly<Record<string, string>>,
  ) {
    [this.#directory, this.hub, this.devices] = [directory, hub, devices];
    this.#rings = [...new Set(Object.values(rings))];
    this.#profiles = new Map(devices.map((device) => [device.id, profileOf(device, rings[device.id] ?? "")]));
  }

  /** Starts hub and devices and registers them. @param rings of the devices, by their ids */
  static async start(toolchain: Toolchain, rings: Readonly<Record<string, string>>): Promise<AgentLab> {
    // Each process of the lab ends with this one.
    process.setMaxListeners(50);
    const directory = mkdtempSync(join(tmpdir(), "edge-fleet-agent-"));
    const hub = await ControlPlaneLab.start(toolchain, REGION, { workloads: [] });
    const devices: AgentDevice[] = [];
    for (const [index, id] of Object.keys(rings).entries())
      devices.push(
        await AgentDevice.start({ toolchain, directory: join(directory, id), id, port: 8101 + 100 * index }),
      );
    const lab = new AgentLab(directory, hub, devices, rings);
    await lab.#installHub();
    return lab;
  }

  device(id: string): AgentDevice {
    const device = this.devices.find((each) => each.id === id);
    if (device === undefined) throw new Error(`there is no device ${id}`);
    return device;
  }

  profile(id: string): Profile {
    const profile = this.#profiles.get(id);
    if (profile === undefined) throw new Error(`there is no device ${id}`);
    return profile;
  }

  /** What the inventory says of a device from now on. */
  change(id: string, changes: Partial<Profile>): void {
    this.#profiles.set(id, { ...this.profile(id), ...changes });
  }

  /** Changes the year of a device's certificate. */
  renew(id: string, generation: number): void {
    this.#changeAgent(id, { generation });
  }

  /** Says that the region is moved to the other release. @param rings whose devices are; undefined: that it is not */
  next(rings: readonly string[] | undefined): void {
    const [, version] = RELEASES;
    const next = rings && { version, address: ADDRESS, port: PORTS[version], rings: [...rings] };
    for (const id of this.#profiles.keys()) this.#changeAgent(id, { next });
  }

  #changeAgent(id: string, changes: Partial<NonNullable<Profile["gitops"]["agent"]>>): void {
    const { gitops } = this.profile(id);
    if (gitops.agent === undefined) throw new Error(`device ${id} has no agent`);
    this.change(id, { gitops: { ...gitops, agent: { ...gitops.agent, ...changes } } });
  }

  /** What the stack of the region keeps on the hub. */
  async register(): Promise<void> {
    const profiles = [...this.#profiles.values()];
    const devices = Object.fromEntries(this.devices.map(({ id, identityKey }) => [id, { identityKey }]));
    const lock = { devices, revoked: {} } as unknown as Parameters<typeof planBlocklist>[0];
    const data = planBlocklist(lock, profiles, () => openFleetAuthority(this.#key));
    await this.#apply({ apiVersion: "v1", kind: "ConfigMap", ...renderStartingCondition("blocklist", REGION, data) });
    for (const profile of profiles)
      await this.hub.apply("secrets", renderClusterSecret(profile, profile.state === "removed"));
    for (const set of renderApplicationSets(REGION, this.#fleet())) await this.hub.apply("applicationsets", set);
  }

  /** Changes the workload and pins the ring to that. */
  async release(level: string): Promise<void> {
    const meta = (kind: string, name: string) => `{ kind: ${kind}, metadata: { name: ${name} }`;
    const template =
      "{ metadata: { labels: { app: web } }, spec: { containers: [{ name: web, image: lab.invalid/web }] } }";
    this.#write("base/kustomization.yaml", "resources: [settings.yaml, web.yaml]\n");
    this.#write(
      "base/settings.yaml",
      `${meta("ConfigMap", "settings")}, apiVersion: v1, data: { level: ${level} } }\n`,
    );
    const spec = `{ selector: { matchLabels: { app: web } }, template: ${template} }`;
    this.#write("base/web.yaml", `${meta("Deployment", "web")}, apiVersion: apps/v1, spec: ${spec} }\n`);
    this.#render();
    const revision = this.hub.push(level);
    for (const ring of this.#rings) this.#write(ringPath(ring), renderRing(ring, revision));
    this.#render();
    this.hub.push("promote");
    await this.hub.refresh();
  }

  /** What a dial does: the agent's objects and its certificate, or the device's own entry; then its process anew. */
  async dial(id: string): Promise<void> {
    const device = this.device(id);
    const entry = this.#fleet().devices.find((each) => each.id === id);
    const profile = this.profile(id);
    await device.stopAgent();
    await device.install(profile, this.#fleet(), entry as TreeDevice, this.#key);
    if (profile.gitops.engine === "argocd-agent")
      await device.startAgent(programOf(requireAgent(profile).version as Release));
  }

  /** Installs the region's principals and starts the process of one of them. */
  async startPrincipal(version: Release = RELEASES[0]): Promise<void> {
    const image = `lab.invalid/agent@sha256:${"a".repeat(64)}`;
    const artifacts = { argocdAgent: Object.fromEntries(RELEASES.map((release) => [release, { image }])) };
    const exposure = { service: "ClusterIP", annotations: {}, sourceRanges: [] } as const;
    const authority = () => openFleetAuthority(this.#key);
    const plan = planPrincipals(REGION, [...this.#profiles.values()], { exposure, artifacts, authority });
    if (plan === undefined) throw new Error("no device has an agent");
    for (const secret of plan.secrets) await this.#apply({ apiVersion: "v1", kind: "Secret", ...secret });
    const objects = principalObjects(plan.settings);
    for (const object of objects) await this.#apply(object);
    const name = principalName(version);
    const port = PORTS[version];
    const principal = await PodProcess.start({
      program: programOf(version),
      kubeconfigPath: this.hub.kubeconfigPath,
      deployment: objects.find(
        ({ kind, metadata }) => kind === "Deployment" && metadata.name === name,
      ) as unknown as EmittedDeployment,
      directory: join(this.#directory, name),
      places: {
        ARGOCD_PRINCIPAL_LISTEN_PORT: `${port}`,
        ARGOCD_PRINCIPAL_METRICS_PORT: `${port + 1000}`,
        ARGOCD_PRINCIPAL_HEALTH_CHECK_PORT: `${port + 2000}`,
        ARGOCD_PRINCIPAL_REDIS_SERVER_ADDRESS: this.hub.redis,
        REDIS_PASSWORD: "",
      },
    });
    this.#principals.set(version, principal);
  }

  async stopPrincipal(version: Release = RELEASES[0]): Promise<void> {
    await this.#principals.get(version)?.stop();
  }

  /** What a principal has written so far. */
  principalLog(version: Release): string {
    return this.#principals.get(version)?.log() ?? "";
  }

  /** One request to the hub's API. @param path behind the namespace of the control plane */
  async call(method: Parameters<typeof callApi>[1], path: string, object?: object): Promise<unknown> {
    const [root, ...rest] = path.split("/");
    const group = root === "applications" || root === "applicationsets" ? "apis/argoproj.io/v1alpha1" : "api/v1";
    const place = ["", group, "namespaces", this.hub.namespace, root, ...rest].join("/");
    return (await callApi(this.#admin(), method, place, object)).body;
  }

  async stop(): Promise<void> {
    for (const principal of this.#principals.values()) await principal.stop();
    await Promise.all(this.devices.map((device) => device.stop()));
    await this.hub.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #installHub(): Promise<void> {
    const opaque = (name: string, stringData: object) => ({
      ...{ apiVersion: "v1", kind: "Secret", metadata: { name, namespace: this.hub.namespace }, stringData },
    });
    const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" });
    await this.#apply(opaque(TOKEN_KEY_SECRET, { "jwt.key": pem }));
    await this.#apply(opaque("argocd-redis", { auth: "only-for-the-lab" }));
    const aged = (write: number) => ({
      ...{ apiVersion: "v1", kind: "ConfigMap", data: { write: `${write}` } },
      metadata: { name: `age-${write % 50}`, namespace: this.hub.namespace },
    });
    const writes = agentProgram("0.10.0").real ? HUB_WRITES : 0;
    for (let write = 0; write < writes; write += 50)
      await Promise.all(Array.from({ length: 50 }, (_, index) => this.#apply(aged(write + index))));
    this.#render();
    await this.register();
  }

  #fleet(): TreeInput & ApplicationInput {
    const git = { url: `${this.hub.git.url}/fleet.git`, branch: "main", path: "fleet", layout: "live" };
    const inventory = { fleet: { fleet: "acme", git, rings: this.#rings, workloads: [] } };
    return treeInput(inventory as unknown as Inventory, [...this.#profiles.values()]);
  }

  get #tree(): string {
    return join(this.hub.checkout, "fleet");
  }

  #render(): void {
    writeTree(this.#tree, planTree(this.#tree, renderTree(this.#fleet(), readPins(this.#tree, []))));
  }

  #write(path: string, content: string): void {
    mkdirSync(dirname(join(this.#tree, path)), { recursive: true });
    writeFileSync(join(this.#tree, path), content);
  }

  #admin(): string {
    return readFileSync(this.hub.kubeconfigPath, "utf8");
  }

  async #apply(object: unknown): Promise<void> {
    const { status, body } = await applyObject(this.#admin(), object as AppliedObject);
    if (status >= 300) throw new Error(JSON.stringify(body));
  }
}

function profileOf({ id, identityKey }: AgentDevice, ring: string): Profile {
  const [version] = RELEASES;
  const agent = { version, address: ADDRESS, port: PORTS[version], generation: 2026 };
  const gitops = { ...gitopsOf("argocd-agent"), agent };
  const enrolled = { identityKey, hostKey: "ssh-ed25519 AAAA" };
  return buildProfile({ id, region: REGION, ring, ...enrolled, gitops, labels: {}, values: { lane: id } });
}

function programOf(version: Release): ReturnType<typeof agentProgram> {
  return agentProgram(version.slice(1));
}
