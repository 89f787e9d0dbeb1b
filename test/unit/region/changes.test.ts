import assert from "node:assert/strict";
import { test } from "node:test";
import { dialledDevices } from "../../../components/device/state.ts";
import { FLEET_CA_KEY } from "../../../components/identity/authority.ts";
import { type ArtifactsLock, loadInventory, resolveRegion } from "../../../components/inventory/index.ts";
import { planRegion } from "../../../components/plan/device.ts";
import { describeRunChanges } from "../../../components/region/changes.ts";
import { planRuns } from "../../../components/region/plan.ts";
import { renderMarkdown } from "../../../components/summary.ts";
import { LOCK } from "../device/profile.ts";
import { authorityKey, identityLine } from "../identity/keys.ts";
import { FLEET, inventoryFolder } from "../inventory/folder.ts";

const IDS = ["tokyo-1", "tokyo-2", "tokyo-3", "tokyo-4"];
const pin = (id: string): string => {
  const key = `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZ${id.at(-1)}`;
  return `  ${id}: {hostKey: ${key}}\n`;
};
const DEVICES = IDS.map((id, index) => `  - {id: ${id}, host: 10.0.0.${index}, model: nuc-4g}\n`);
const REGION = `region: tokyo\ndevices:\n${DEVICES.join("")}`;
const PINS = `devices:\n${IDS.map(pin).join("")}`;
const MODELS = "nuc-4g:\n  architecture: amd64\n  memory: 4Gi\n";
const BEFORE = { "tokyo.yaml": REGION, "tokyo.lock.yaml": PINS, "models.yaml": MODELS, "fleet.yaml": FLEET };

const LOCKED = LOCK.k3s?.["v1.36.2+k3s1"];
const RELEASES = {
  ...LOCK,
  argocdAgent: {
    ...LOCK.argocdAgent,
    "v0.11.0": { image: `quay.io/argoprojlabs/argocd-agent@sha256:${"e".repeat(64)}` },
  },
  k3s: { "v1.36.2+k3s1": LOCKED, "v1.36.3+k3s1": { ...LOCKED, amd64: { ...LOCKED?.amd64, sha256: "b".repeat(64) } } },
};

type Files = Partial<typeof BEFORE>;

const SECRETS = { [FLEET_CA_KEY]: authorityKey() };

function plans(files: Files, program: string) {
  const inventory = loadInventory(inventoryFolder({ ...BEFORE, ...files }));
  const profiles = resolveRegion(inventory, "tokyo");
  return {
    inventory,
    profiles,
    plans: planRegion({ profiles, artifacts: RELEASES as ArtifactsLock, secrets: SECRETS, program }),
  };
}

/** Lines of a run that follows one in which all went well but for what `stdout` says. */
function lines(files: Files, program = "a", stdout: Readonly<Record<string, string>> = {}, last: Files = {}): string[] {
  const before = plans(last, "a");
  const resources = before.plans.flatMap((plan) => {
    const { id, text } = plan as { id: string; text: string };
    const environment = { EDGE_FLEET_DEVICE: id, EDGE_FLEET_ATTEMPT: "1" };
    const line = stdout[id] ?? JSON.stringify({ end: "answer", answer: { result: "applied" } });
    const outputs = { environment, stdin: text, stdout: line };
    return [{ urn: `urn:${id}`, type: "command:local:Command", name: id, outputs }];
  });
  const after = plans(files, program);
  const previous = dialledDevices(resources);
  const runs = planRuns({ region: "tokyo", fleet: after.profiles, previous, ...after });
  const folder = `${after.inventory.directory}/`;
  return describeRunChanges(after.inventory, runs).map((line) => line.replaceAll(folder, ""));
}

test("nothing is told where nothing changes", () => assert.deepEqual(lines({}), []));

test("a change of a model that all devices have is one line, at its place", () => {
  assert.deepEqual(lines({ "models.yaml": `${MODELS}  kubelet:\n    maxPods: 40\n` }), [
    "models.yaml:5:14 nuc-4g.kubelet.maxPods: 30 -> 40 (device tokyo-1 and 3 more devices)",
  ]);
});

test("a change of one device stands at its entry, a label that goes beside it", () => {
  const region = REGION.replace("10.0.0.1, model: nuc-4g", "10.0.0.1, model: nuc-4g, labels: {tier: gold}");
  assert.deepEqual(lines({ "tokyo.yaml": region }), [
    "tokyo.yaml:4:65 devices[1].labels.tier (tokyo-2): (unset) -> gold",
  ]);
});

const IDENTITY = identityLine(Buffer.alloc(32, 9));
const agents = (rings: string): Files => ({
  "tokyo.lock.yaml": `devices:\n${pin("tokyo-1").replace("}", `, identityKey: ${IDENTITY}}`)}`,
  "tokyo.yaml": `region: tokyo
devices:
  - {id: tokyo-1, host: 10.0.0.0, model: nuc-4g, ring: canary}
gitops:
  engine: argocd-agent
  agent:
    address: first.example.com
    generation: 2026
    next:
      version: v0.11.0
      address: next.example.com
      rings: [${rings}]
`,
});

test("a ring that is moved to another argocd-agent is told at what moves it, and that other rings are is no change", () => {
  assert.deepEqual(lines(agents("canary"), "a", {}, agents("")), [
    "tokyo.yaml:10:16 gitops.agent.next.version: v0.10.0 -> v0.11.0 (device tokyo-1)",
    "tokyo.yaml:11:16 gitops.agent.next.address: first.example.com -> next.example.com (device tokyo-1)",
  ]);
  assert.deepEqual(lines(agents("broad"), "a", {}, agents("")), []);
});

test("a device at another address has not changed", () => {
  assert.deepEqual(lines({ "tokyo.yaml": REGION.replace("10.0.0.1", "10.0.1.1") }), []);
});

test("new devices, devices that leave, another release and devices that are tried again are told apart", () => {
  const more = `${REGION}  - {id: tokyo-5, host: 10.0.0.9, model: nuc-4g}\n`;
  const leaving = more.replace(
    "10.0.0.0, model: nuc-4g",
    "10.0.0.0, model: nuc-4g, state: removed, decommission: wipe",
  );
  const dark = JSON.stringify({ end: "ssh", text: "255 Connection refused" });
  const pinned = PINS + pin("tokyo-5");
  assert.deepEqual(lines({ "tokyo.yaml": leaving, "tokyo.lock.yaml": pinned }, "a", { "tokyo-2": dark }), [
    "new: 1 device (tokyo-5)",
    "to leave the fleet, wiped: 1 device (tokyo-1)",
    "tried again (refused): 1 device (tokyo-2)",
  ]);
  assert.deepEqual(lines({}, "b"), ["another release of edge-fleet: 4 devices (tokyo-1, tokyo-2, tokyo-3 and 1 more)"]);
});

test("another release of a distribution is told at its setting alone", () => {
  const other = FLEET.replace("v1.36.2+k3s1", "v1.36.3+k3s1");
  assert.deepEqual(lines({ "fleet.yaml": other }), [
    "fleet.yaml:9:12 k3s.version: v1.36.2+k3s1 -> v1.36.3+k3s1 (device tokyo-1 and 3 more devices)",
  ]);
});

test("a summary is Markdown that no value can break", () => {
  assert.equal(renderMarkdown("region a", ["x: <b> -> *c*"]), "### region a\n\n- x: \\<b\\> -\\> \\*c\\*\n\n");
  assert.equal(renderMarkdown("region a", []), "### region a\n\n- no changes\n\n");
});
