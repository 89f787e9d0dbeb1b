/** The story of two devices that pull with Flux, for engine-flux.test.ts: what is done to them, and what must come of it. */
import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { type PullFleet, WORKLOADS } from "../lab/pull-fleet.ts";
import { ask, editDevices, until } from "../lab/scenario.ts";
import { ASKED, widgets } from "./flux-rights.ts";
import { PullStory } from "./pull-story.ts";

/** The devices by their rings. */
export const RINGS = { one: "canary", two: "early" } as const;
/** Their ids. */
export const IDS = Object.keys(RINGS) as (keyof typeof RINGS)[];

type Id = keyof typeof RINGS;

/** Patience with one thing, in seconds: after Git was gone for minutes, the next look is about as far away, and what it finds takes a while. */
const PATIENCE = 400;

/** An interval of a minute, with the quarter by which it may come later. */
const LONGEST_INTERVAL_MS = 75_000;

/** What a device of the test is told for its workloads. */
const VALUE = "35.68,139.77";

/** A condition of an object of Flux. */
interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason: string;
  readonly message: string;
}

/** An object of Flux, as far as the story looks at it. */
interface FluxObject {
  readonly metadata: { readonly generation: number };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly Condition[];
    readonly lastAppliedRevision?: string;
    readonly artifact?: { readonly path: string; readonly revision: string };
  };
}

/** The story of two devices. */
export class FluxStory extends PullStory<Id> {
  /** @param say gets how long things took */
  constructor(pull: PullFleet, say: (text: string) => void) {
    super(pull, say, IDS, PATIENCE);
  }

  async install(): Promise<void> {
    editDevices(this.pull.fleet, ["one"], (entry) => entry.set("values", { coordinates: VALUE }));
    const kinds = ["apiextensions.k8s.io/CustomResourceDefinition"];
    this.pull.fleet.edit("fleet.yaml", (file) => file.set("projects", { "edge-workloads": { kinds } }));
    await this.begin();
    await this.everywhere("edge-root is ready", (id) => this.#isReady(id, "kustomization", "edge-root"));
  }

  async first(): Promise<void> {
    const revision = this.pull.run("rev-parse", "HEAD");
    const force = ["--to", revision, "--force", "test"];
    for (const workload of [[], ["--workload", "extra"]])
      for (const ring of Object.values(RINGS)) await this.pull.promote(ring, ...force, ...workload);
    await this.refresh();
    await this.level("first");
    await this.#well();
    for (const id of IDS) {
      assert.equal(await this.#applied(id), revision);
      const json = await this.pull.kubectl(id, `-n ${WORKLOADS} get pods -o json`);
      const { items } = JSON.parse(json) as { items: { metadata: { annotations?: Record<string, string> } }[] };
      const told = items.map(({ metadata: { annotations = {} } }) => [
        annotations["edge-fleet.dev/device"],
        annotations["values.edge-fleet.dev/coordinates"],
      ]);
      const expected = [id, id === "one" ? VALUE : undefined];
      assert.deepEqual(told, [expected, expected]);
      assert.equal(await this.pull.look(id, "-n extra get configmap extra -o name"), "configmap/extra");
    }
    await this.memory("*source-controller* | *kustomize-controller*");
  }

  async bounded(): Promise<void> {
    for (const [account, words, refused] of ASKED) {
      const as = `--as=system:serviceaccount:flux-system:${account}`;
      const { code, stderr } = await this.pull.fleet.devices.exec("one", `k3s kubectl ${as} ${words}`);
      if (refused === "") assert.deepEqual([code, stderr], [0, ""], `${account} ${words}`);
      else assert.match(stderr, refused, `${account} ${words}`);
    }
    const role = { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: { name: "own" }, rules: [] };
    await this.#releaseWith("forbidden", role);
    await this.everywhere("is told why", async (id) => {
      const { status, message = "" } = (await this.#condition(id, "kustomization", "workloads")) ?? {};
      return status === "False" && /project edge-workloads refuses this kind - leave it out, or allow it/.test(message);
    });
    await this.level("first");
    await this.#releaseWith("defined", ...widgets());
    await this.level("defined");
    await this.#well();
    await this.release("first");
    await this.level("first");
    await this.everywhere("the widget is gone", async (id) => (await this.#widgets(id)) === "");
  }

  /** Releases a level with further objects, none of which a former one has. */
  async #releaseWith(level: string, ...objects: object[]): Promise<void> {
    this.pull.writeBase(level);
    const settings = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" }, data: { level } };
    this.pull.write("base/settings.yaml", settings, ...objects);
    await this.pull.pin(await this.pull.push(level));
    await this.refresh();
  }

  #widgets(id: Id): Promise<string> {
    return this.pull.kubectl(id, `-n ${WORKLOADS} get widgets.lab.invalid -o name`);
  }

  async badCanary(): Promise<void> {
    this.pull.writeBase("bad", "lab.invalid/absent/web");
    const bad = await this.pull.push("Bad");
    await this.pull.promote("canary", "--to", bad, "--force", "test");
    await this.refresh();
    await this.level("bad", "one");
    const promotion = ["promote", "early", "--tree", this.pull.fleet.tree, "--push", "--no-diff"];
    const { code, stderr } = await this.pull.fleet.edgeFleet(promotion);
    assert.notEqual(code, 0);
    assert.match(stderr, /error: ring canary is not healthy: .*: one failed \(Application workloads: OutOfSync/);
    this.pull.writeBase("second");
    const good = await this.pull.push("Second");
    await this.pull.promote("canary", "--to", good, "--force", "test");
    await this.refresh();
    await this.level("second", "one");
    assert.equal(await this.pull.level("two"), "first");
    const waited = "-n flux-system get events --field-selector reason=HealthCheckFailed -o name";
    assert.equal(await this.pull.kubectl("one", waited), "", "the next commit waits for no timeout");
    await this.#well("one");
    await this.pull.promote("early");
    await this.refresh();
    await this.level("second");
    await this.#well();
  }

  async gitGone(): Promise<void> {
    await this.pull.git.stop();
    const stopped = performance.now();
    await this.everywhere("it cannot read Git", (id) => this.#cannotRead(id));
    await this.release("third");
    await sleep(Math.max(0, LONGEST_INTERVAL_MS - (performance.now() - stopped)));
    await this.#heals("second", ...IDS);
  }

  async rebootOffline(): Promise<void> {
    const before = await this.#archive("one");
    this.pull.fleet.devices.cutPower("one");
    await this.#boot("one");
    await this.#heals("second", "one");
    assert.equal(await this.#archive("one"), before);
  }

  async catchUp(): Promise<void> {
    const started = performance.now();
    await this.pull.git.start();
    await this.level("third");
    this.tell("reconnect to converged", started);
    await this.#well();
    await this.memory("*source-controller* | *kustomize-controller*");
  }

  async removed(): Promise<void> {
    this.setExtra("removed");
    await this.release("fourth");
    await this.level("fourth");
    await this.everywhere("extra is gone", async (id) => {
      const left = await Promise.all(
        [
          "-n extra get configmap extra",
          "-n flux-system get kustomization extra",
          "-n flux-system get gitrepository extra",
        ].map((words) => this.pull.look(id, `${words} --ignore-not-found -o name`)),
      );
      return left.every((name) => name === "") && (await this.pull.look(id, "get namespace extra -o name")) !== "";
    });
  }

  async wasOff(): Promise<void> {
    this.pull.fleet.devices.cutPower("two");
    await this.release("fifth");
    await this.level("fifth", "one");
    await this.#boot("two");
    await this.level("fifth", "two");
    await this.#well();
  }

  async rotate(): Promise<void> {
    this.pull.git.setLogin({ username: "fleet", password: "lab-git-password-2" });
    await this.refresh();
    await this.everywhere("it is locked out", (id) => this.#cannotRead(id));
    await this.pull.fleet.setSecret("git-password", "lab-git-password-2");
    await this.up();
    await this.release("sixth");
    await this.level("sixth");
    await this.#well();
  }

  async gitOverSsh(): Promise<void> {
    const { git, pin } = await this.readOverSsh();
    await this.#well();
    git.newHostKey?.();
    await this.refresh();
    await this.everywhere("it trusts no other host key", (id) => this.#cannotRead(id, /knownhosts: key mismatch/));
    pin();
    await this.up();
    await this.release("other host key");
    await this.level("other host key");
    await this.#well();
  }

  async toArgoCd(): Promise<void> {
    const before = await this.#settled();
    await this.#engine("argocd");
    await this.everywhere("is Argo CD's", async (id) => {
      const { sync, health } = (await this.pull.application(id)) ?? {};
      // A first look that failed is repeated only after an interval.
      if (sync !== "Synced") await this.pull.refresh(id);
      return sync === "Synced" && health === "Healthy";
    });
    assert.deepEqual(await this.#settled(), before);
    this.pull.writeBase("by Argo CD");
    this.pull.write("base/settings.yaml", {
      ...{ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "settings" } },
      data: { level: "by Argo CD", former: "yes" },
    });
    await this.pull.pin(await this.pull.push("By Argo CD"));
    for (const id of IDS) await this.pull.refresh(id);
    await this.level("by Argo CD");
  }

  async backToFlux(): Promise<void> {
    const former = (id: Id) =>
      this.pull.kubectl(id, `-n ${WORKLOADS} get configmap settings -o jsonpath={.data.former}`);
    const before = await this.#settled();
    editDevices(this.pull.fleet, ["two"], (entry) => entry.set("maintenance", [this.windowIn(12)]));
    await this.#engine("flux");
    await this.#well();
    assert.deepEqual(await this.#settled(), before);
    for (const id of IDS) assert.equal(await former(id), "yes");
    await this.#look("two", "true");
    await this.release("by Flux");
    await this.level("by Flux", "one");
    await this.#well("one");
    assert.equal(await former("one"), "", "what Argo CD has set leaves with Git");
  }

  async window(): Promise<void> {
    await this.#heals("by Argo CD", "two");
    await ask(this.pull.fleet.devices, "two", "mkdir -p /sys/class/rtc/rtc0 && echo 1 >/sys/class/rtc/rtc0/hctosys");
    editDevices(this.pull.fleet, ["two"], (entry) => entry.set("maintenance", [this.windowIn(-2, 360)]));
    await this.up();
    await this.level("by Flux", "two");
    await this.#look("two", "false");
    await this.#well();
  }

  /** Lets a device look at its windows, as its timer does. @param suspend whether its root is held then */
  async #look(id: Id, suspend: string): Promise<void> {
    await ask(this.pull.fleet.devices, id, `${PROGRAM_PATH} window`);
    const held = "-n flux-system get kustomization edge-root -o jsonpath={.spec.suspend}";
    assert.equal(await this.pull.kubectl(id, held), suspend);
  }

  async none(): Promise<void> {
    const before = await this.#settled();
    await this.#engine("none");
    await this.everywhere(
      "the engine is gone",
      async (id) => (await this.pull.look(id, "-n flux-system get pods -o name")) === "",
    );
    assert.deepEqual(await this.#settled(), before);
    await this.level("by Flux");
  }

  /** Gives all devices an engine. */
  async #engine(name: string): Promise<void> {
    this.pull.fleet.edit("fleet.yaml", (file) => file.setIn(["gitops", "engine"], name));
    await this.pull.push(name);
    await this.up();
  }

  /** Identities of the workload's pods, once no pod of a former release is left. */
  async #settled(): Promise<string[][]> {
    const pods = async (id: Id) =>
      (await this.pull.kubectl(id, `-n ${WORKLOADS} get pods -o jsonpath={.items[*].metadata.uid}`)).split(" ");
    await this.everywhere("has one pod of each workload", async (id) => (await pods(id)).length === 2);
    return Promise.all(IDS.map(pods));
  }

  protected async refresh(): Promise<void> {
    const requested = `reconcile.fluxcd.io/requestedAt=${Date.now()}`;
    const words = `-n flux-system annotate --overwrite gitrepository edge-root ${requested}`;
    await Promise.all(IDS.map((id) => this.pull.look(id, words)));
  }

  /** Takes the workload away by hand, and waits until it is back. */
  async #heals(level: string, ...ids: Id[]): Promise<void> {
    for (const id of ids) await this.drift(id);
    await this.level(level, ...ids);
    await this.webIsThere(...ids);
  }

  /** Boots a device and waits until both controllers run. */
  async #boot(id: Id): Promise<void> {
    const { code, stderr } = await this.pull.fleet.devices.boot(id);
    assert.equal(code, 0, stderr);
    await until(`${id}: its API answers`, () => this.pull.isReady(id));
  }

  /** Name, inode and time of the archive that a device deploys from, as its disk has it. */
  async #archive(id: Id): Promise<string> {
    const path = (await this.#object(id, "gitrepository", "workloads"))?.status?.artifact?.path;
    return ask(this.pull.fleet.devices, id, `stat -c '%n %i %Y' /var/lib/edge-fleet/engine/source/${path}`);
  }

  async #object(id: Id, kind: string, name: string): Promise<FluxObject | undefined> {
    const text = await this.pull.look(id, `-n flux-system get ${kind} ${name} -o json`);
    return text === "" ? undefined : (JSON.parse(text) as FluxObject);
  }

  async #condition(id: Id, kind: string, name: string): Promise<Condition | undefined> {
    const { metadata, status } = (await this.#object(id, kind, name)) ?? {};
    if (metadata?.generation !== status?.observedGeneration) return undefined;
    return status?.conditions?.find(({ type }) => type === "Ready");
  }

  async #isReady(id: Id, kind: string, name: string): Promise<boolean> {
    return (await this.#condition(id, kind, name))?.status === "True";
  }

  /** Whether a device's last look at the branch has failed. @param why what it says of it */
  async #cannotRead(id: Id, why = /^/): Promise<boolean> {
    const { status, reason, message = "" } = (await this.#condition(id, "gitrepository", "edge-root")) ?? {};
    return status === "False" && reason === "GitOperationFailed" && why.test(message);
  }

  /** The commit that a device has applied. */
  async #applied(id: Id): Promise<string> {
    const revision = (await this.#object(id, "kustomization", "workloads"))?.status?.lastAppliedRevision ?? "";
    return revision.replace(/^.*sha1:/, "");
  }

  /** Waits until all that was applied is well. */
  async #well(...ids: Id[]): Promise<void> {
    await this.everywhere("is well", (id) => this.#isReady(id, "kustomization", "workloads"), ids);
  }
}
