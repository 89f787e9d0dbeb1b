/**
 * A user's own Pulumi program that imports the packed package and makes one loopback device a cluster, beside the resource
 * that tells its address.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { K3S_VERSIONS, type LabFleet, startLabFleet } from "../lab/fleet.ts";
import { type CommandResult, runCommand } from "../lab/run-command.ts";
import { ask, deviceState, enterLab, logIns } from "../lab/scenario.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
const DEVICE = "shop-1";
const [RELEASE] = K3S_VERSIONS;
const toolchain = await enterLab();

test("a program of ten lines provisions a device whose address is an output", async (t) => {
  const fleet = await startLabFleet({
    toolchain,
    devices: [{ id: DEVICE, model: "nuc-4g", ring: "broad" }],
    withHub: false,
  });
  t.after(() => fleet.stop());
  const project = writeProject(fleet, program(fleet));
  const pulumi = (...args: string[]): Promise<CommandResult> =>
    runCommand("pulumi", [...args, "--non-interactive", "--stack", "shop"], { cwd: project, env: fleet.env });
  succeeded(await runCommand("pulumi", ["stack", "init", "shop"], { cwd: project, env: fleet.env }));
  succeeded(await pulumi("preview"));
  const before = logIns(fleet.devices);
  succeeded(await pulumi("up", "--yes"));
  const state = await deviceState(fleet.devices, DEVICE);
  assert.deepEqual([state.version, state.ready, state.leftovers], [RELEASE, "ok", ""]);
  assert.equal(
    await ask(fleet.devices, DEVICE, "cat /etc/rancher/k3s/config.yaml.d/10-labels.yaml | grep -c tier=gold"),
    "1",
  );
  const { stdout } = await pulumi("stack", "output", "--json");
  assert.deepEqual(JSON.parse(stdout), { outcome: { state: "applied", code: "", reason: "", release: RELEASE } });
  succeeded(await pulumi("up", "--yes", "--expect-no-changes"));
  assert.equal(logIns(fleet.devices) - before, 1, "one log-in");
  writeFileSync(join(project, "index.ts"), program(fleet, ENTRY));
  succeeded(await pulumi("up", "--yes"));
  const { outcome } = JSON.parse((await pulumi("stack", "output", "--json")).stdout) as { outcome: { engine: string } };
  assert.match(outcome.engine, /^waiting: ImagePullBackOff /, "no device of the lab has the image");
  const entry = "/var/lib/rancher/k3s/server/manifests/edge-fleet-entry.yaml";
  assert.match(await ask(fleet.devices, DEVICE, `cat ${entry}`), /repoURL: https:\/\/git\.example\.com\/shop\.git/);
  assert.equal((await deviceState(fleet.devices, DEVICE)).pid, state.pid, "no restart");
});

/** What the device's own Argo CD pulls. */
const ENTRY = [
  {
    apiVersion: "argoproj.io/v1alpha1",
    kind: "Application",
    metadata: { name: "shop", namespace: "argocd" },
    spec: {
      project: "default",
      source: { repoURL: "https://git.example.com/shop.git", targetRevision: "main", path: "shop" },
      destination: { server: "https://kubernetes.default.svc", namespace: "shop" },
      syncPolicy: { automated: {} },
    },
  },
];

function succeeded({ code, stdout, stderr }: CommandResult): void {
  assert.equal(code, 0, stdout + stderr);
}

function program(fleet: LabFleet, entry?: readonly object[]): string {
  const [device] = fleet.devices.devices;
  assert.ok(device);
  const lock = parse(readFileSync(join(fleet.inventory, "artifacts.lock.yaml"), "utf8")) as Record<string, object>;
  return `import { local } from "@pulumi/command";
import { Device } from "edge-fleet";

const address = new local.Command("address", { create: "printf ${device.host}" });
export const { outcome } = new Device("${DEVICE}", {
  ...{ host: address.stdout, port: ${device.port}, hostKey: "${device.hostKey}" },
  ...{ architecture: "${device.architecture}", memoryMiB: 4096, release: "${RELEASE}" },
  artifacts: ${JSON.stringify(lock)},
  ${entry === undefined ? "" : `entry: ${JSON.stringify(entry)},`}
  settings: { labels: { tier: "gold" }, readiness: { timeoutSeconds: 30 } },
});
`;
}

/** A project with the packed package, whose dependencies are those of the checkout. */
function writeProject(fleet: LabFleet, text: string): string {
  const project = join(fleet.directory, "shop");
  const modules = join(project, "node_modules");
  mkdirSync(join(modules, "edge-fleet"), { recursive: true });
  for (const name of readdirSync(join(REPOSITORY, "node_modules")).filter((entry) => !entry.startsWith(".")))
    symlinkSync(join(REPOSITORY, "node_modules", name), join(modules, name));
  const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", project], {
    cwd: REPOSITORY,
    encoding: "utf8",
  });
  const [{ filename }] = JSON.parse(packed.slice(packed.indexOf("[\n"))) as [{ filename: string }];
  execFileSync("tar", ["-xzf", join(project, filename), "-C", join(modules, "edge-fleet"), "--strip-components=1"]);
  writeFileSync(join(project, "package.json"), '{ "type": "module" }\n');
  writeFileSync(join(project, "Pulumi.yaml"), "name: shop\nmain: index.js\nruntime: nodejs\n");
  writeFileSync(join(project, "index.js"), text);
  return project;
}
