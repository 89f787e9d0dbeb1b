/**
 * A hub that is lost and built anew, with the real engine, two real API servers and Argo CD's own ApplicationSet controller:
 * what a region's principal waits for is not there before every Application is, and a backup brings back what the
 * ApplicationSets would not make now. No kubelet and no principal run here: that its pod does not start without those
 * ConfigMaps is a test of machine-pods.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { type ApplicationInput, renderApplicationSets, ringPath } from "../../components/gitops/applicationset.ts";
import { renderRing } from "../../components/gitops/rings.ts";
import { treeInput } from "../../components/gitops/tree.ts";
import type { Inventory, MaintenanceWindow, Profile } from "../../components/inventory/types.ts";
import { initRepository, pushAll } from "../lab/argocd/checkout.ts";
import type { StoredObject } from "../lab/argocd/control-plane.ts";
import { startGitServer } from "../lab/argocd/git-server.ts";
import { startArgoCd } from "../lab/argocd/index.ts";
import { callApi, getApi, listApi } from "../lab/hub/api.ts";
import { type Hub, startHub } from "../lab/hub/index.ts";
import { HubProgram, type ProgramInput, tokyoPrincipals, UP } from "../lab/hub/program.ts";
import { enterLab } from "../lab/scenario.ts";
import { settle } from "../lab/settle.ts";
import { argocdManifests } from "../lab/toolchain/index.ts";
import { ARGO_CD_PARTS, PART_NAMES } from "../lab/toolchain/parts.ts";
import { edgeFleet } from "../unit/cli/command.ts";
import { BASE_FILES } from "../unit/cli/inventory.ts";
import { buildProfile, gitopsOf } from "../unit/device/profile.ts";
import { authorityKey } from "../unit/identity/keys.ts";

const toolchain = await enterLab([...PART_NAMES, ...ARGO_CD_PARTS]);

const AUTHORITY_KEY = authorityKey();
const NAMESPACE = "argocd-tokyo";
const APPLICATIONS = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/applications`;
const SETS = `/apis/argoproj.io/v1alpha1/namespaces/${NAMESPACE}/applicationsets`;
const PRINCIPAL = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments/argocd-agent-principal-v0-11-0`;
const CONFIG_MAPS = `/api/v1/namespaces/${NAMESPACE}/configmaps`;
const DEVICES = ["tokyo-0001", "tokyo-0002", "tokyo-0003"];
const NAMES = DEVICES.map((id) => `${id}-workloads`);
/** How long nothing must happen for a test to believe that it does not, in milliseconds. */
const QUIET_MS = 5000;
const TIMEOUT_MS = 240_000;

/** A window that is closed now and stays so for the test. */
const CLOSED: MaintenanceWindow = {
  start: new Date(Date.now() - 12 * 3600_000).toISOString().slice(11, 16),
  durationMinutes: 15,
};

test("a hub that is lost and built anew", async (t) => {
  const directory = mkdtempSync("/run/edge-fleet-rebuilt-");
  const [lost, fresh] = [
    await startHub({ toolchain, directory: join(directory, "lost") }),
    await startHub({ toolchain, directory: join(directory, "fresh") }),
  ];
  t.after(() => Promise.all([lost.stop(), fresh.stop()]));
  mkdirSync(join(directory, "repositories"));
  const git = await startGitServer(join(directory, "repositories"));
  t.after(() => git.stop());
  const story = await Story.create(directory, `${git.url}/fleet.git`);
  await t.test("a principal waits until the region's Applications are there", () => story.register(lost));
  await t.test("a backup has the Applications as they were written, and is for its owner alone", () =>
    story.save(lost),
  );
  await t.test("on a new cluster the principal waits for the region, and the Applications are restored meanwhile", () =>
    story.restore(fresh),
  );
  await t.test("the region's sets take the restored Applications on, and then the principal may start", () =>
    story.takeOn(fresh),
  );
  await t.test("nothing is restored beside a principal that runs, be it the second of two", () => story.running(fresh));
});

class Story {
  readonly #directory: string;
  readonly #program: HubProgram;
  readonly #gitUrl: string;
  readonly #lock: object;
  /** Applications of the hub that is lost. */
  #written: readonly object[] = [];

  private constructor(directory: string, program: HubProgram, gitUrl: string, lock: object) {
    this.#directory = directory;
    this.#program = program;
    this.#gitUrl = gitUrl;
    this.#lock = lock;
  }

  /** With a repository whose ring canary is at its first commit, and the inventory that the command reads. */
  static async create(directory: string, gitUrl: string): Promise<Story> {
    initRepository(directory);
    const checkout = join(directory, "checkout");
    const ring = join(checkout, "fleet", ringPath("canary"));
    mkdirSync(join(ring, ".."), { recursive: true });
    writeFileSync(ring, renderRing("canary", pushAll(checkout, "first")));
    pushAll(checkout, "promote");
    mkdirSync(join(directory, "stacks"));
    const agent = "gitops: { engine: argocd-agent, agent: { address: hub.example.com, generation: 2026 } }\n";
    const devices = DEVICES.map((id) => ({ id, host: `${id}.example.com`, model: "box", ring: "canary" }));
    const files = { ...BASE_FILES, "fleet.yaml": `${BASE_FILES["fleet.yaml"]}${agent}` };
    for (const [name, text] of Object.entries({ ...files, "tokyo.yaml": stringify({ region: "tokyo", devices }) }))
      writeFileSync(join(directory, "stacks", name), text);
    const { directory: manifests } = await argocdManifests();
    const file = (url: string) => ({ url, sha256: createHash("sha256").update(readFileSync(url)).digest("hex") });
    const kinds = ["application", "applicationset", "appproject"];
    const crds = kinds.map((kind) => file(join(manifests, `crds/${kind}-crd.yaml`)));
    const lock = { argocd: { "v3.2.0": { crds, controlPlane: file(join(manifests, "namespace-install.yaml")) } } };
    return new Story(directory, await HubProgram.create(directory, toolchain), gitUrl, lock);
  }

  #input(closed: readonly string[]): ProgramInput {
    const profiles = DEVICES.map((id): Profile => {
      const maintenance = closed.includes(id) ? [CLOSED] : [];
      const gitops = gitopsOf("argocd-agent");
      return buildProfile({ id, region: "tokyo", ring: "canary", gitops, labels: {}, maintenance });
    });
    const tree = { url: this.#gitUrl, branch: "main", path: "fleet", layout: "live" };
    const inventory = { fleet: { fleet: "acme", git: tree, rings: ["canary"], workloads: [] } };
    const input = treeInput(inventory as unknown as Inventory, profiles) as ApplicationInput;
    return {
      lock: this.#lock,
      gitUrl: this.#gitUrl,
      regions: { tokyo: { principal: tokyoPrincipals(AUTHORITY_KEY, ["v0.10.0", "v0.11.0"]) } },
      devices: profiles.map(({ id, model, ring, labels, maintenance, time }) => {
        return { id, model, ring, labels, maintenance, time };
      }),
      applicationSets: renderApplicationSets("tokyo", input),
      blocklist: {},
      waits: "region",
    };
  }

  async #status(hub: Hub, path: string): Promise<number> {
    return (await getApi(readFileSync(hub.kubeconfigPath, "utf8"), path)).status;
  }

  async #applications(hub: Hub): Promise<StoredObject[]> {
    return [...(await listApi(hub.kubeconfigPath, APPLICATIONS))] as unknown as StoredObject[];
  }

  async #names(hub: Hub): Promise<string[]> {
    return (await this.#applications(hub)).map(({ metadata }) => metadata.name).sort();
  }

  /**
   * One `up` of the region's devices, during which the ApplicationSet controller starts late.
   * @returns the Applications that there were when what the principal waits for was first seen
   */
  async #upWithLateController(hub: Hub, closed: readonly string[], before: readonly string[]): Promise<string[]> {
    const run = this.#program.run(this.#input(closed), UP, hub);
    const sets = async () => (await listApi(hub.kubeconfigPath, SETS)).length;
    const waiting = async () => [
      await this.#status(hub, `${CONFIG_MAPS}/argocd-agent-tls-blocklist`),
      (await this.#status(hub, SETS)) === 200 ? await sets() : 0,
    ];
    assert.deepEqual(await settle(waiting, [200, 1], TIMEOUT_MS), [200, 1]);
    await sleep(QUIET_MS);
    assert.equal(await this.#status(hub, `${CONFIG_MAPS}/edge-fleet-registered`), 404);
    assert.deepEqual(await this.#names(hub), before);
    const folder = mkdtempSync(join(this.#directory, "argocd-"));
    const options = { toolchain, directory: folder, kubeconfigPath: hub.kubeconfigPath, namespace: NAMESPACE };
    const argoCd = await startArgoCd(options);
    after(() => argoCd.stop());
    const registered = () => this.#status(hub, `${CONFIG_MAPS}/edge-fleet-registered`);
    assert.equal(await settle(registered, 200, TIMEOUT_MS), 200, argoCd.log().slice(-2000));
    const seen = await this.#names(hub);
    const { code, text } = await run;
    assert.equal(code, 0, text);
    return seen;
  }

  async register(hub: Hub): Promise<void> {
    assert.deepEqual(await this.#upWithLateController(hub, [], []), NAMES);
    const closed = await this.#program.run(this.#input(["tokyo-0003"]), UP, hub);
    assert.equal(closed.code, 0, closed.text);
    const identity = { metadata: { name: "argocd-agent-principal-identity" }, data: { "principal-uid": "lab" } };
    const admin = readFileSync(hub.kubeconfigPath, "utf8");
    assert.equal((await callApi(admin, "POST", CONFIG_MAPS, identity)).status, 201);
  }

  #edgeFleet(command: string, hub: Hub) {
    const [inventory, file] = [join(this.#directory, "stacks"), this.#file];
    return edgeFleet(["backup", command, "tokyo", file, "-i", inventory, "--kubeconfig", hub.kubeconfigPath]);
  }

  get #file(): string {
    return join(this.#directory, "tokyo.json");
  }

  async save(hub: Hub): Promise<void> {
    const saved = await this.#edgeFleet("hub", hub);
    assert.deepEqual([saved.exitCode, saved.stdout], [0, `${this.#file}: 3 Applications of tokyo\n`], saved.stderr);
    assert.equal(statSync(this.#file).mode & 0o777, 0o600);
    const again = await this.#edgeFleet("hub", hub);
    assert.equal(again.exitCode, 2);
    assert.match(again.stderr, /tokyo\.json: EEXIST: .* - name a new file/);
    this.#written = (await this.#applications(hub)).map(written);
    assert.equal(this.#written.length, NAMES.length);
  }

  async restore(hub: Hub): Promise<void> {
    const forgotten = ["state", "delete", "--all", "--force", "--yes", "--stack", "all"];
    const { code, stderr } = await this.#program.pulumi(forgotten, hub);
    assert.equal(code, 0, stderr);
    const early = await this.#edgeFleet("restore-hub", hub);
    assert.equal(early.exitCode, 2);
    assert.match(early.stderr, /has no argocd-tokyo - run pulumi up on the hub's stack first/);
    const run = await this.#program.run({ ...this.#input([]), devices: [] }, UP, hub);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(await this.#names(hub), []);
    assert.equal(await this.#status(hub, PRINCIPAL), 200);
    const restored = await this.#edgeFleet("restore-hub", hub);
    assert.deepEqual(
      [restored.exitCode, restored.stdout],
      [0, "tokyo: 4 made, 0 were there\nNext: pulumi up --stack tokyo\n"],
      restored.stderr,
    );
    const again = await this.#edgeFleet("restore-hub", hub);
    assert.match(again.stdout, /^tokyo: 0 made, 4 were there\n/, again.stderr);
    assert.deepEqual((await this.#applications(hub)).map(written), this.#written);
    assert.equal(await this.#status(hub, `${CONFIG_MAPS}/edge-fleet-registered`), 404);
  }

  async takeOn(hub: Hub): Promise<void> {
    const uids = (await this.#applications(hub)).map(({ metadata }) => metadata.uid);
    assert.deepEqual(await this.#upWithLateController(hub, ["tokyo-0003"], NAMES), NAMES);
    const applications = await this.#applications(hub);
    assert.deepEqual(applications.map(written), this.#written);
    assert.deepEqual(
      applications.map(({ metadata }) => metadata.uid),
      uids,
    );
    const owners = applications.map(({ metadata }) => metadata.ownerReferences?.map(({ name }) => name));
    // No set makes or changes one for a device whose window is closed.
    assert.deepEqual(owners, [["edge-workloads"], ["edge-workloads"], undefined]);
  }

  /** As the controller of the second one's Deployment would say. */
  async running(hub: Hub): Promise<void> {
    const admin = readFileSync(hub.kubeconfigPath, "utf8");
    const counts = { replicas: 1, updatedReplicas: 1, readyReplicas: 1, availableReplicas: 1 };
    assert.equal((await callApi(admin, "PATCH", `${PRINCIPAL}/status`, { status: counts })).status, 200);
    const { exitCode, stderr } = await this.#edgeFleet("restore-hub", hub);
    assert.deepEqual(
      [exitCode, stderr],
      [
        2,
        "error: principals of region tokyo run: argocd-agent-principal-v0-11-0 - stop them first: kubectl -n argocd-tokyo " +
          "scale deployment -l app.kubernetes.io/name=argocd-agent-principal --replicas=0\n",
      ],
    );
  }
}

/** What somebody has written of an Application. */
function written({ metadata, spec }: StoredObject): object {
  const { name, labels, annotations } = metadata;
  return { name, labels, annotations, spec };
}
