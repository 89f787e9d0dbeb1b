/**
 * Where a secret must not be: in the arguments of any process while runs go on, in what they print, in the engine's events and
 * the state, in files of the workstation, in a device's log.
 */
import assert from "node:assert/strict";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type LabFleet, REGION } from "./fleet.ts";
import { ask, type EngineRun, exportStack, upAfterPreview } from "./scenario.ts";

/** Runs a fleet and looks for some secrets in all that a run leaves. */
export class SecretWatch {
  readonly #fleet: LabFleet;
  readonly #forms: readonly string[];
  readonly #runs: EngineRun[] = [];

  /** @param secrets texts as they are: base64 and hex are looked for as well */
  constructor(fleet: LabFleet, secrets: readonly string[]) {
    this.#fleet = fleet;
    this.#forms = secrets.flatMap((secret) => [
      secret,
      Buffer.from(secret).toString("base64"),
      Buffer.from(secret).toString("hex"),
    ]);
  }

  /** Whether a text has one of the secrets. */
  holds(text: string | Buffer): boolean {
    return this.#forms.some((form) => text.includes(form));
  }

  /** Runs `up` after a preview and looks meanwhile at the arguments of every process of the lab, the devices' own included. */
  async up(): Promise<EngineRun> {
    const seen = new Set<string>();
    const timer = setInterval(() => {
      for (const path of globSync("/proc/[0-9]*/cmdline")) {
        try {
          seen.add(readFileSync(path, "utf8"));
        } catch {
          // The process has ended.
        }
      }
    }, 50);
    const run = await upAfterPreview(this.#fleet).finally(() => clearInterval(timer));
    const all = [...seen].join("\n");
    assert.match(all, /edge-fleet-device\0(serve|follow|run)/, `runs of the device program were seen: ${run.text}`);
    assert.ok(!this.holds(all));
    this.#runs.push(run);
    return run;
  }

  /** Asserts that a secret of some devices is encrypted in the state, and nowhere in clear but in files of theirs for root. */
  async assertNowhere(ids: readonly string[]): Promise<void> {
    const { text, resources } = await exportStack(this.#fleet);
    for (const id of ids) {
      const { inputs } = resources.find(({ urn }) => urn.endsWith(`::${id}`)) ?? {};
      assert.match(JSON.stringify(inputs), /"EDGE_FLEET_SECRETS":\{[^}]*"ciphertext":/, id);
      assert.match(JSON.stringify(inputs), /"stdin":"device: /, id);
    }
    const log = readFileSync(join(this.#fleet.directory, "events.jsonl"), "utf8");
    // Debug messages of the SDK show a secret input as it is; nobody sees them but who asks for `--debug`.
    const events = log.replaceAll(/^.*"severity":"debug".*$/gm, "");
    assert.match(events, /resourcePreEvent/);
    const outputs = JSON.stringify(await this.#fleet.outputs(REGION));
    const shown = Object.fromEntries(this.#runs.map((each, index) => [`output of run ${index + 1}`, each.text]));
    for (const [name, content] of Object.entries({ state: text, outputs, events, ...shown }))
      assert.ok(!this.holds(content), name);
    assert.deepEqual(this.#filesThatHoldIt(), []);
    for (const id of ids) await this.#assertOfRoot(id);
  }

  async #assertOfRoot(id: string): Promise<void> {
    const { devices } = this.#fleet;
    const written = await ask(devices, id, "cat /var/log/edge-fleet/apply.log /var/log/k3s*.log");
    assert.ok(written.length > 0 && !this.holds(written), id);
    const patterns = this.#forms.map((form) => `-e ${form}`).join(" ");
    const search = `grep -rlF ${patterns} /etc /var /run /tmp 2>/dev/null | xargs stat -c '%a %n'`;
    for (const line of (await ask(devices, id, search)).split("\n")) assert.match(line, /^600 /, id);
  }

  /** Files of the workstation and of the backend. */
  #filesThatHoldIt(): string[] {
    const files = ["state", "project", "devices", "pulumi-home"].flatMap((name) =>
      readdirSync(join(this.#fleet.directory, name), { recursive: true, withFileTypes: true }).filter((entry) =>
        entry.isFile(),
      ),
    );
    for (const name of [`${REGION}.json`, `Pulumi.${REGION}.yaml`, "dial.sh"])
      assert.ok(
        files.some((file) => file.name === name),
        name,
      );
    return files.flatMap(({ parentPath, name }) => (this.holds(readFileSync(join(parentPath, name))) ? [name] : []));
  }
}
