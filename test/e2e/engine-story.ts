/** The story of three devices that pull, for engine-workload.test.ts: what is done to them, and what must come of it. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import { generateSshKey } from "../lab/devices/keys.ts";
import { GIT_PASSWORD, type PullFleet, WORKLOADS } from "../lab/pull-fleet.ts";
import { deviceState, deviceStates, editDevices, touched, until, up } from "../lab/scenario.ts";
import { PullStory } from "./pull-story.ts";

/** The devices by their rings. */
export const RINGS = { one: "canary", two: "early", three: "broad" } as const;
/** Their ids. */
export const IDS = Object.keys(RINGS) as (keyof typeof RINGS)[];

/** A device of no region, and the one that it becomes a device of. */
export const SPARE = "four";
type Id = keyof typeof RINGS | typeof SPARE;
const NEW_REGION = "harbour";

/** The story of three devices. */
export class Story extends PullStory<Id> {
  /** @param say gets how long things took */
  constructor(pull: PullFleet, say: (text: string) => void) {
    super(pull, say, IDS);
  }

  async install(): Promise<void> {
    await this.begin();
    await this.everywhere("edge-root is synced", async (id) => {
      return (await this.pull.application(id, "edge-root"))?.sync === "Synced";
    });
    await this.#pollCost();
    await this.#quicken();
  }

  /** What one look at Git costs that finds nothing new, and a day of them at the default interval. Never asserted. */
  async #pollCost(): Promise<void> {
    const { devices } = this.pull.fleet;
    const looks = 5;
    const looked = () =>
      this.pull.look("one", "-n argocd get application edge-root -o jsonpath={.status.reconciledAt}");
    for (const id of ["two", "three"]) devices.setLink(id, false);
    this.pull.git.resetTraffic();
    for (let look = 0; look < looks; look++) {
      const before = await looked();
      await sleep(1000);
      await this.pull.refresh("one");
      await until("a look at Git", async () => (await looked()) !== before);
    }
    const { requests, received, sent } = this.pull.git.traffic();
    for (const id of ["two", "three"]) devices.setLink(id, true);
    const bytes = (received + sent) / looks;
    // The interval is 10 minutes and up to half as much again: 12.5 on average.
    const daily = (24 * 60) / 12.5;
    this.say(
      `a look at Git: ${requests / looks} requests, ${Math.round(bytes)} bytes; a day of them: ${Math.round((requests / looks) * daily)} requests, ${Math.round((bytes * daily) / 1000)} kB`,
    );
  }

  async first(): Promise<void> {
    const revision = this.pull.run("rev-parse", "HEAD");
    for (const workload of [[], ["--workload", "extra"]])
      for (const ring of ["canary", "early", "broad"])
        await this.pull.promote(ring, "--to", revision, "--force", "test", ...workload);
    await this.refresh();
    await this.level("first");
    await this.#healthy(...IDS);
    for (const id of IDS) {
      const json = await this.pull.kubectl(id, `-n ${WORKLOADS} get pods -o json`);
      const { items } = JSON.parse(json) as { items: { metadata: { annotations?: Record<string, string> } }[] };
      assert.deepEqual(
        items.map(({ metadata }) => metadata.annotations?.["edge-fleet.dev/device"]),
        [id, id],
      );
      assert.equal(await this.pull.look(id, "-n extra get configmap extra -o name"), "configmap/extra");
    }
    await this.memory("*argocd-* | *redis-server*");
  }

  async badCanary(): Promise<void> {
    this.pull.writeBase("bad", "lab.invalid/absent/web");
    const bad = await this.pull.push("Bad");
    await this.pull.promote("canary", "--to", bad, "--force", "test");
    await this.refresh();
    await this.level("bad", "one");
    await until("one waits for its image", async () => (await this.pull.application("one"))?.health === "Progressing");
    const { code, stderr } = await this.pull.fleet.edgeFleet([
      "promote",
      "early",
      "--from",
      "canary",
      "--push",
      "--no-diff",
    ]);
    assert.notEqual(code, 0);
    assert.match(stderr, /error: ring canary is not healthy: .*: one failed \(Application workloads: Progressing/);
    assert.deepEqual(await this.#levels(), { one: "bad", two: "first", three: "first" });
    await this.release("second");
    await this.level("second");
    await this.#healthy(...IDS);
  }

  /** The device of the region ends dark, and the rest of the story does without it. */
  async newRegion(): Promise<void> {
    const { fleet } = this.pull;
    const [id, ring] = [SPARE, "broad"] as const;
    const running = this.#pinOf(ring);
    this.pull.writeBase("held");
    const held = await this.pull.push("Held");
    await this.pull.promote("canary", "--to", held, "--force", "test");
    await this.refresh();
    await this.level("held", "one");
    await this.#healthy("one");
    const { host, port } = fleet.devices.devices.find((device) => device.id === id) ?? {};
    const device = { id, host, model: "pod-4g", ring, ssh: { port } };
    writeFileSync(join(fleet.inventory, `${NEW_REGION}.yaml`), stringify({ region: NEW_REGION, devices: [device] }));
    await this.pull.push("Harbour");
    const lacks = new RegExp(`rings/${ring}\\.yaml:.* lacks overlays/${NEW_REGION}/pod-4g, .*--new-leaves$`, "m");
    assert.match((await fleet.edgeFleet(["check", "--tree", fleet.tree])).stdout, lacks);
    const [pins, pods] = [this.#pins(), await this.#pods()];
    await this.pull.promote(ring, "--new-leaves");
    const made = this.#pinOf(ring);
    assert.equal(this.pull.run("rev-parse", `origin/edge-fleet/${ring}`), made);
    assert.equal(this.pull.run("rev-parse", `${made}^`), running);
    for (const line of this.pull.run("diff", "--name-status", running, made).split("\n"))
      assert.match(line, new RegExp(`^A\tfleet/.*/${NEW_REGION}/`));
    assert.deepEqual(this.#pins(), pins);
    await this.#startRegion();
    await until(`${id}: runs what ${ring} holds`, async () => (await this.pull.level(id)) === "second");
    await this.#healthy(id);
    assert.equal((await this.pull.application(id))?.revision, made);
    await this.refresh();
    await until(`three: takes the leaf`, async () => (await this.pull.application("three"))?.revision === made);
    assert.deepEqual(await this.#levels(), { one: "held", two: "second", three: "second" });
    assert.deepEqual(await this.#pods(), pods);
    fleet.devices.cutPower(id);
    await this.release("second");
    await this.level("second");
    await this.#healthy(...IDS);
  }

  async #startRegion(): Promise<void> {
    const { fleet } = this.pull;
    const made = await fleet.pulumi(["stack", "init", NEW_REGION]);
    assert.equal(made.code, 0, made.stderr);
    await fleet.setSecret("git-password", GIT_PASSWORD, NEW_REGION);
    const enrolled = await fleet.edgeFleet(["enroll", NEW_REGION, "--yes"]);
    assert.equal(enrolled.code, 0, enrolled.stderr);
    const run = await up(fleet, NEW_REGION);
    assert.equal(run.code, 0, run.text);
  }

  /** The commit that a ring deploys, as it stands on the remote. */
  #pinOf(ring: string): string {
    const text = this.pull.run("show", `origin/main:fleet/rings/${ring}.yaml`);
    return /^revision: "?(\w{40})"?$/m.exec(text)?.[1] ?? "";
  }

  /** What pins devices in Git, but for the new region and its ring: hashes of ring files and entries by path. */
  #pins(): string[] {
    const files = this.pull.run("ls-tree", "-r", "origin/main", "--", "fleet/rings", "fleet/entry").split("\n");
    return files.filter((line) => !/\tfleet\/(rings|entry)\/broad\b/.test(line) && !line.includes(`/${NEW_REGION}/`));
  }

  /** The workload's pods, but for those on their way out, by device. */
  #pods(): Promise<string[]> {
    const path = "{range .items[*]}{.metadata.uid}{.metadata.deletionTimestamp} {end}";
    return Promise.all(
      IDS.map(async (id) => {
        const pods = await this.pull.kubectl(id, `-n ${WORKLOADS} get pods -o 'jsonpath=${path}'`);
        return pods
          .split(" ")
          .filter((pod) => pod.length === 36)
          .join(" ");
      }),
    );
  }

  async gitGone(): Promise<void> {
    for (const id of IDS) await this.#control(id);
    await this.everywhere(
      "the control is synced",
      async (id) => (await this.pull.application(id, "control"))?.sync === "Synced",
    );
    await this.pull.git.stop();
    for (const name of ["control", "edge-root"])
      await this.everywhere(
        `${name} is unknown`,
        async (id) => (await this.pull.application(id, name))?.sync === "Unknown",
      );
    const started = performance.now();
    for (const id of IDS) {
      await this.drift(id);
      await this.pull.kubectl(id, "-n control delete configmap settings");
    }
    await this.level("second");
    this.tell("healed with Git off", started);
    await this.webIsThere();
    for (const id of IDS) {
      assert.equal(
        await this.pull.look(id, "-n control get configmap settings -o name"),
        "",
        "the branch does not heal",
      );
      const root = await this.pull.application(id, "edge-root");
      assert.equal(root?.sync, "Unknown");
    }
  }

  async rebootOffline(): Promise<void> {
    this.pull.fleet.devices.cutPower("two");
    await this.#boot("two");
    // A controller that has just started sees a drift at its first comparison, not before.
    await this.pull.quicken("two");
    await this.drift("two");
    await this.level("second", "two");
  }

  async catchUp(): Promise<void> {
    await this.release("third");
    await sleep(6000);
    assert.deepEqual(await this.#levels(), { one: "second", two: "second", three: "second" });
    await this.#quicken();
    const started = performance.now();
    await this.pull.git.start();
    await this.level("third");
    this.tell("reconnect to converged", started);
    await this.#healthy(...IDS);
  }

  async wasOff(): Promise<void> {
    this.pull.fleet.devices.cutPower("three");
    await this.release("fourth");
    this.setExtra("removed");
    await this.release("fifth");
    const on = ["one", "two"] as const;
    await this.level("fifth", ...on);
    for (const id of on) await this.#gone(id);
    await this.#boot("three");
    // The first comparison after a boot may come before its parts have started, and the next one a whole interval later.
    await this.pull.quicken("three");
    await this.pull.refresh("three");
    await this.level("fifth", "three");
    await this.#gone("three");
  }

  async powerCut(): Promise<void> {
    const before = await this.#levels();
    await this.release("sixth");
    await Promise.all(
      IDS.map(async (id) => {
        await until(`${id} syncs`, async () => {
          const phase = await this.pull.look(
            id,
            "-n argocd get application workloads -o jsonpath={.status.operationState.phase},{.spec.source.targetRevision}",
          );
          return phase.startsWith("Running") || (await this.pull.level(id)) !== before[id];
        });
        this.pull.fleet.devices.cutPower(id);
      }),
    );
    await Promise.all(IDS.map((id) => this.#boot(id)));
    await this.#quicken();
    await this.refresh();
    await this.level("sixth");
    await this.#healthy(...IDS);
  }

  async rotate(): Promise<void> {
    await this.#quicken();
    this.pull.git.setLogin({ username: "fleet", password: "lab-git-password-2" });
    await this.everywhere(
      "it is locked out",
      async (id) => (await this.pull.application(id, "edge-root"))?.sync === "Unknown",
    );
    await this.pull.fleet.setSecret("git-password", "lab-git-password-2");
    await this.up();
    await this.release("seventh");
    await this.level("seventh");
  }

  async gitOverSsh(): Promise<void> {
    const { git, pin } = await this.readOverSsh();
    const other = generateSshKey();
    const secrets = "-n argocd get secrets -l argocd.argoproj.io/secret-type=repository -o name";
    for (const id of IDS)
      await until(`${id}: has the key alone`, async () => {
        return (await this.pull.look(id, secrets)) === "secret/edge-fleet-git-ssh";
      });
    git.setLogin({ publicKey: other.publicKey });
    await this.#refused(/unable to authenticate/);
    await this.pull.fleet.setSecret("git-ssh-key", other.privateKey);
    await this.up();
    await this.release("other key");
    await this.level("other key");
    git.newHostKey?.();
    await this.#refused(/knownhosts: key mismatch/);
    pin();
    await this.up();
    await this.release("other host key");
    await this.level("other host key");
    await this.#healthy(...IDS);
  }

  /** Waits until every device tells that it cannot read Git, and why. */
  async #refused(why: RegExp): Promise<void> {
    const conditions = "-n argocd get application edge-root -o jsonpath={.status.conditions[*].message}";
    await this.everywhere(String(why), async (id) => why.test(await this.pull.look(id, conditions)));
  }

  async changeModel(): Promise<void> {
    const identity = () =>
      this.pull.kubectl(
        "two",
        `-n ${WORKLOADS} get statefulset/store deployment/web pvc/data-store-0 -o jsonpath={.items[*].metadata.uid}`,
      );
    const before = await identity();
    editDevices(this.pull.fleet, ["two"], (entry) => entry.set("model", "pod-8g"));
    await this.release("eighth");
    await this.up();
    await until("two reads the entry of its model", async () => {
      const path = await this.pull.look("two", "-n argocd get application edge-root -o jsonpath={.spec.source.path}");
      return path.endsWith("/pod-8g");
    });
    await this.refresh();
    await this.level("eighth");
    await this.#healthy(...IDS);
    assert.equal(await identity(), before);
  }

  async window(): Promise<void> {
    editDevices(this.pull.fleet, ["three"], (entry) => entry.set("maintenance", [this.windowIn(12)]));
    await this.up();
    await this.release("ninth");
    await this.level("ninth", "one", "two");
    await this.drift("three");
    await this.level("eighth", "three");
    editDevices(this.pull.fleet, ["three"], (entry) => entry.delete("maintenance"));
    await this.up();
    await this.level("ninth", "three");
  }

  async upgrade(): Promise<void> {
    const engine = (id: string) =>
      this.pull.kubectl(id, "-n argocd get pods -o jsonpath={.items[*].spec.containers[*].image}");
    await this.#settled();
    const [before, states] = [await this.#pods(), await deviceStates(this.pull.fleet.devices, IDS)];
    const release = this.pull.addRelease();
    this.pull.fleet.edit("fleet.yaml", (file) => file.setIn(["gitops", "argocd", "version"], release));
    assert.deepEqual(touched(await this.up()), [...IDS].sort());
    for (const id of IDS) {
      assert.match(await engine(id), new RegExp(`argocd:${release}@`));
      assert.equal((await deviceState(this.pull.fleet.devices, id)).pid, states[id]?.pid);
    }
    assert.deepEqual(await this.#pods(), before);
    await this.#quicken();
    await this.release("tenth");
    await this.level("tenth");
  }

  async none(): Promise<void> {
    await this.#settled();
    const before = await this.#pods();
    this.pull.fleet.edit("fleet.yaml", (file) => file.setIn(["gitops", "engine"], "none"));
    await this.up();
    await this.everywhere(
      "the engine is gone",
      async (id) => (await this.pull.look(id, "-n argocd get pods -o name")) === "",
    );
    assert.deepEqual(await this.#pods(), before);
    await this.level("tenth");
  }

  /** Waits until the workload is healthy and no pod of a former release is left. */
  async #settled(): Promise<void> {
    await this.#healthy(...IDS);
    await this.everywhere("has one pod of each workload", async (id) => {
      return (await this.pull.look(id, `-n ${WORKLOADS} get pods -o name`)).split("\n").length === 2;
    });
  }

  #quicken(): Promise<unknown> {
    return Promise.all(IDS.map((id) => this.pull.quicken(id)));
  }

  protected refresh(): Promise<unknown> {
    return Promise.all(IDS.map((id) => this.pull.refresh(id)));
  }

  async #healthy(...ids: Id[]): Promise<void> {
    await this.everywhere(
      "is healthy",
      async (id) => {
        const { sync, health } = (await this.pull.application(id)) ?? {};
        return sync === "Synced" && health === "Healthy";
      },
      ids,
    );
  }

  async #levels(): Promise<Record<string, string>> {
    return Object.fromEntries(await Promise.all(IDS.map(async (id) => [id, await this.pull.level(id)] as const)));
  }

  #gone(id: string): Promise<void> {
    return until(`${id}: extra is gone`, async () => {
      const kept = await this.pull.look(id, "-n extra get configmap extra -o name");
      return kept === "" && (await this.pull.application(id, "extra")) === undefined;
    });
  }

  /** Boots a device and waits until its cluster has applied all manifests anew, as it does at each start. */
  async #boot(id: string): Promise<void> {
    const { code, stderr } = await this.pull.fleet.devices.boot(id);
    assert.equal(code, 0, stderr);
    await until(`${id}: its manifests are applied again`, async () => {
      return (await this.pull.isReady(id)) && !(await this.pull.isQuick(id));
    });
    for (const name of ["statefulset/argocd-application-controller", "deployment/argocd-repo-server"])
      await this.pull.kubectl(id, `-n argocd rollout status ${name} --timeout=90s`);
  }

  /** An Application on a branch, as the workload's own must not be: without Git it knows nothing. */
  async #control(id: string): Promise<void> {
    const { url } = this.pull;
    const metadata = { name: "control", namespace: "argocd" };
    const destinations = [{ server: "https://kubernetes.default.svc", namespace: "control" }];
    const project = {
      ...{ apiVersion: "argoproj.io/v1alpha1", kind: "AppProject", metadata },
      spec: { sourceRepos: [url], destinations, clusterResourceWhitelist: [{ group: "", kind: "Namespace" }] },
    };
    const application = {
      ...{ apiVersion: "argoproj.io/v1alpha1", kind: "Application", metadata },
      spec: {
        ...{ project: "control", destination: destinations[0] },
        source: { repoURL: url, targetRevision: "main", path: "fleet/control" },
        syncPolicy: { automated: { selfHeal: true }, syncOptions: ["CreateNamespace=true"] },
      },
    };
    await this.pull.apply(id, project, application);
  }
}
