/** What the stories of devices that pull have in common, whichever engine does it: engine-story.ts and flux-story.ts. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import type { MaintenanceWindow } from "../../components/inventory/types.ts";
import { type GitServer, startGitServer } from "../lab/argocd/git-server.ts";
import { generateSshKey } from "../lab/devices/keys.ts";
import { REGION } from "../lab/fleet.ts";
import { ADVERTISED_ADDRESS } from "../lab/namespace.ts";
import { podMemory } from "../lab/pod-memory.ts";
import { type PullFleet, WORKLOADS } from "../lab/pull-fleet.ts";
import { until, up } from "../lab/scenario.ts";

/** A story of some devices. */
export abstract class PullStory<Id extends string> {
  protected readonly pull: PullFleet;
  readonly #ids: readonly Id[];
  readonly #say: (text: string) => void;
  readonly #patienceSeconds: number | undefined;
  #ssh: GitServer | undefined;

  /**
   * @param say gets how long things took
   * @param patienceSeconds for one thing. Default: that of `until`
   */
  constructor(pull: PullFleet, say: (text: string) => void, ids: readonly Id[], patienceSeconds?: number) {
    this.pull = pull;
    this.#say = say;
    this.#ids = ids;
    this.#patienceSeconds = patienceSeconds;
  }

  /** Lets devices look at Git now, where they run. */
  protected abstract refresh(): Promise<unknown>;

  /** Ends what the story has started. */
  async stop(): Promise<void> {
    await this.#ssh?.stop();
  }

  /** Brings the devices from their bare roots to an engine that reads the first commit. */
  protected async begin(): Promise<void> {
    this.setExtra();
    this.pull.writeBase("first");
    this.pull.writeExtra();
    await this.pull.push("First");
    const enrolled = await this.pull.fleet.edgeFleet(["enroll", REGION, "--yes"]);
    assert.equal(enrolled.code, 0, enrolled.stderr);
    await this.up();
  }

  protected async up() {
    const run = await up(this.pull.fleet);
    assert.equal(run.code, 0, run.text);
    return run;
  }

  /** Writes the workload that fleet.yaml has beside the overlays. */
  protected setExtra(state?: "removed"): void {
    const place = { name: "extra", path: "workloads/extra", namespace: "extra" };
    const extra = { ...place, ...(state === undefined ? {} : { state }) };
    this.pull.fleet.edit("fleet.yaml", (file) => file.set("workloads", [extra]));
  }

  /** Changes the workload and pins all rings to that. */
  protected async release(level: string): Promise<void> {
    this.pull.writeBase(level);
    await this.pull.pin(await this.pull.push(level));
    await this.refresh();
  }

  /**
   * Lets the devices read the repository over SSH. From here on it has another address, and the server before it is gone.
   * @returns the server, and what pins its host key in the inventory
   */
  protected async readOverSsh(): Promise<{ readonly git: GitServer; readonly pin: () => void }> {
    const { fleet, repository, git: former } = this.pull;
    const key = generateSshKey();
    const login = { publicKey: key.publicKey };
    const git = await startGitServer(dirname(repository), { protocol: "ssh", address: ADVERTISED_ADDRESS, login });
    this.#ssh = git;
    const pin = () => fleet.edit("fleet.yaml", (file) => file.setIn(["gitops", "access", "knownHosts"], git.knownHost));
    fleet.edit("fleet.yaml", (file) => {
      file.setIn(["git", "url"], `${git.url}/fleet.git`);
      file.setIn(["gitops", "access"], { type: "ssh" });
    });
    pin();
    await fleet.setSecret("git-ssh-key", key.privateKey);
    await this.release("over ssh");
    await former.stop();
    await this.up();
    await this.level("over ssh");
    return { git, pin };
  }

  /** A maintenance window that starts so many hours from now, at the full hour. */
  protected windowIn(hours: number, durationMinutes = 15): MaintenanceWindow {
    const hour = (new Date().getUTCHours() + hours + 24) % 24;
    return { start: `${String(hour).padStart(2, "0")}:00`, durationMinutes };
  }

  /** Waits until devices run a level. Default: all. */
  protected async level(level: string, ...ids: Id[]): Promise<void> {
    await this.everywhere(level, async (id) => (await this.pull.level(id)) === level, ids);
  }

  /** Takes the workload away by hand. */
  protected async drift(id: Id): Promise<void> {
    await this.pull.kubectl(id, `-n ${WORKLOADS} delete configmap/settings deployment/web --wait=false`);
  }

  /** Waits until all of the workload is there again. */
  protected async webIsThere(...ids: Id[]): Promise<void> {
    const web = `-n ${WORKLOADS} get deployment web -o name`;
    await this.everywhere("web is there", async (id) => (await this.pull.look(id, web)) !== "", ids);
  }

  /** @param ids none: all */
  protected async everywhere(
    what: string,
    look: (id: Id) => Promise<boolean>,
    ids: readonly Id[] = this.#ids,
  ): Promise<void> {
    const started = performance.now();
    const devices = ids.length === 0 ? this.#ids : ids;
    await Promise.all(devices.map((id) => until(`${id}: ${what}`, () => look(id), this.#patienceSeconds)));
    this.tell(what, started);
  }

  protected tell(what: string, started: number): void {
    this.#say(`${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
  }

  protected say(text: string): void {
    this.#say(text);
  }

  /** What the engine's processes take on a device. Never asserted. @param program as of {@link podMemory} */
  protected async memory(program: string): Promise<void> {
    for (const line of await podMemory(this.pull.fleet.devices, "one", program)) this.#say(line);
  }
}
