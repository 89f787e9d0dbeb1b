/**
 * The demo: the main job on a region of 20 loopback devices with the failures of real ones, through the real `pulumi`
 * engine. It prints each command, what came of it, and what to look at. `--keep` leaves everything running.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs, styleText } from "node:util";
import type { RegionOutputs } from "../../components/index.ts";
import { tellPulls } from "./demo-pull.ts";
import { type LabDeviceRequest, type LabFleet, REGION } from "./fleet.ts";
import { listApi } from "./hub/api.ts";
import { enterNamespaces, insideNamespaces } from "./namespace.ts";
import { LAB_PACKAGES } from "./prerequisites.ts";
import { PullFleet } from "./pull-fleet.ts";
import { hold } from "./shell.ts";
import { POD_PARTS } from "./standins/images.ts";
import { ensureDebianPackages } from "./toolchain/debian.ts";
import { ensureToolchain } from "./toolchain/index.ts";
import { FLEET_PARTS } from "./toolchain/parts.ts";

const PARTS = [...FLEET_PARTS, ...POD_PARTS];
const { keep } = parseArgs({ options: { keep: { type: "boolean", default: false } } }).values;
const colour = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (style: Parameters<typeof styleText>[0], text: string) => (colour ? styleText(style, text) : text);
const say = (text = "") => process.stdout.write(`${text}\n`);
const started = performance.now();

/** Devices that run pods. */
const PODS = ["shop-00", "shop-02", "shop-06"];
const RINGS = ["canary", "early", "broad"] as const;

/** Devices with a part in the story; the others simply work. This one has never been switched on. */
const NEVER_SEEN = "shop-19";
const UNREACHABLE = "shop-18";
const SILENT = "shop-17";
const CHANGED_KEY = "shop-16";

function deviceRequests(): LabDeviceRequest[] {
  const models = ["nuc-4g", "rpi4-4g", "iot-2g"] as const;
  return Array.from({ length: 20 }, (_, index) => {
    const id = `shop-${String(index).padStart(2, "0")}`;
    const model = PODS.includes(id) ? "pod-4g" : (models[index % models.length] ?? "nuc-4g");
    return {
      ...{ id, model },
      ring: index < 2 ? "canary" : index < 6 ? "early" : "broad",
      mode: id === NEVER_SEEN ? "dark" : "up",
    };
  });
}

let stepNumber = 0;
function title(text: string): void {
  stepNumber++;
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  say(`\n${paint("bold", `${stepNumber}. ${text}`)} ${paint("dim", `(${seconds} s)`)}`);
}

/** Runs one command of the lab, shows it and the part of its output that matters, and checks how it ended. */
async function show(
  fleet: LabFleet,
  tool: "pulumi" | "edgeFleet",
  args: readonly string[],
  { fails = false, pick = (output: string) => output }: { fails?: boolean; pick?: (output: string) => string } = {},
): Promise<void> {
  say(paint("cyan", `$ ${tool === "pulumi" ? "pulumi" : "edge-fleet"} ${args.join(" ")}`));
  const ticker = setInterval(() => process.stderr.write("."), 2000);
  const result = await fleet[tool](args);
  clearInterval(ticker);
  const text = pick(result.stdout).trimEnd();
  say(text.replaceAll(/^/gm, "  "));
  say(paint("dim", `  exit code ${result.code}, ${(result.milliseconds / 1000).toFixed(1)} s`));
  if ((result.code !== 0) !== fails)
    throw new Error(`expected ${fails ? "a failure" : "success"}\n${result.stdout}\n${result.stderr}`);
}

/** What `pulumi` says below its list of resources, but for the outputs: messages and counts. */
function summary(output: string): string {
  const told = output.replaceAll(/^ +warning: using pulumi-\S+ from \$PATH .*\n/gm, "").replaceAll(/\n{2,}/g, "\n");
  const diagnostics = /^Diagnostics:\n(?:[ \t]+.*\n)+/m.exec(told)?.[0] ?? "";
  const resources = /^Resources:\n(?:[ \t]+.*\n)+/m.exec(told)?.[0] ?? "";
  const silent = /^ {4}pulumi:pulumi:Stack .*\n(?! {6})/m;
  return `${diagnostics.replace(silent, "")}${resources}`.replace("Diagnostics:\nResources:", "Resources:");
}

const UP = ["up", "--stack", REGION, "--yes", "--skip-preview"];

async function firstRun(pull: PullFleet): Promise<void> {
  const { fleet } = pull;
  title("Render: the GitOps tree from the inventory, no device needed");
  await show(fleet, "edgeFleet", ["render", "--tree", fleet.tree]);
  pull.writeBase("none");
  pull.writeExtra();
  await pull.push("The fleet");
  title("Enroll: pin each SSH host key, let each device make its identity key. One device has never been switched on");
  await show(fleet, "edgeFleet", ["enroll", REGION, "--yes"], { fails: true });
  title("Hub: Argo CD's definitions once, a control plane for the region, an account that ends at its namespace");
  await show(fleet, "pulumi", ["up", "--stack", "hub", "--yes", "--skip-preview"], { pick: summary });
  title("Preview: what would change, by cause; dials nobody");
  await show(fleet, "pulumi", ["preview", "--stack", REGION], { pick: summary });
  title(
    `Up, on a bad day: ${UNREACHABLE} is unreachable, ${SILENT} accepts and stays silent, ${CHANGED_KEY} shows another host key`,
  );
  await fleet.devices.setMode(UNREACHABLE, "dark");
  await fleet.devices.setMode(SILENT, "silent");
  await fleet.devices.changeHostKey(CHANGED_KEY);
  await show(fleet, "pulumi", UP, { fails: true, pick: summary });
  await lookAtFleet(fleet);
}

async function laterRuns(fleet: LabFleet): Promise<void> {
  title("Up again: nothing changed, so nothing is touched; what is pending or failed is tried again");
  await show(fleet, "pulumi", UP, { fails: true, pick: summary });
  title(`${UNREACHABLE} and ${SILENT} come back: the next up dials them, and no device that is applied`);
  await fleet.devices.setMode(UNREACHABLE, "up");
  await fleet.devices.setMode(SILENT, "up");
  await show(fleet, "pulumi", UP, { fails: true, pick: summary });
  title(`${CHANGED_KEY} was reflashed on purpose: accept its new key by name. ${NEVER_SEEN} is switched on. Then up`);
  await fleet.devices.setMode(NEVER_SEEN, "up");
  const accept = ["--device", CHANGED_KEY, NEVER_SEEN, "--accept-new-key", CHANGED_KEY];
  await show(fleet, "edgeFleet", ["enroll", REGION, "--yes", ...accept]);
  await show(fleet, "pulumi", UP, { pick: summary });
  title("All is as it should be: the next up dials nobody");
  await show(fleet, "pulumi", [...UP, "--expect-no-changes"], { pick: summary });
}

async function lookAtHub(fleet: LabFleet): Promise<void> {
  title("The hub's API: one cluster Secret per device that is known, and the region's ApplicationSet");
  const kubeconfig = fleet.kubeconfig ?? "";
  const namespace = `argocd-${REGION}`;
  const secrets = await listApi(
    kubeconfig,
    `/api/v1/namespaces/${namespace}/secrets?labelSelector=argocd.argoproj.io%2Fsecret-type%3Dcluster`,
  );
  for (const { metadata } of secrets) {
    const { "edge-fleet.dev/ring": ring, "edge-fleet.dev/model": model } = metadata.labels ?? {};
    say(`  Secret ${namespace}/${metadata.name}  ring ${ring}  model ${model}`);
  }
  const sets = await listApi(kubeconfig, `/apis/argoproj.io/v1alpha1/namespaces/${namespace}/applicationsets`);
  for (const { metadata } of sets) say(`  ApplicationSet ${namespace}/${metadata.name}`);
}

async function lookAtFleet(fleet: LabFleet): Promise<void> {
  title("What the stack says of its devices");
  const { applied, pending, failed } = await fleet.outputs<RegionOutputs>(REGION);
  for (const { id } of fleet.devices.devices) {
    const bad = failed[id] ?? pending[id];
    const state = bad === undefined ? "applied" : failed[id] === undefined ? "pending" : "failed";
    const style = state === "applied" ? "green" : state === "failed" ? "red" : "yellow";
    const words = bad === undefined ? applied[id] : `${bad.code}: ${bad.reason}`;
    if (words === undefined) throw new Error(`the stack says nothing of ${id}`);
    say(`  ${id}  ${paint(style, state.padEnd(8))} ${words}`);
  }
}

/** Only those that run pods have an engine: of the others a stand-in runs nothing. */
function prepare(fleet: LabFleet): void {
  fleet.edit("models.yaml", (file) => {
    for (const model of ["nuc-4g", "rpi4-4g"]) file.setIn([model, "gitops", "engine"], "none");
  });
  fleet.edit("fleet.yaml", (file) =>
    file.set("workloads", [{ name: "extra", path: "workloads/extra", namespace: "extra" }]),
  );
}

function firstLine(output: string): string {
  return output.split("\n", 1)[0] ?? "";
}

function tellPlaces(fleet: LabFleet): void {
  const [first] = fleet.devices.devices;
  const config = fleet.path(`.edge-fleet/${REGION}/hosts/${first?.id}`);
  say(`\n  inventory       ${join(fleet.inventory, `${REGION}.yaml`)}`);
  say(`  GitOps tree     ${fleet.tree}`);
  say(`  a device's root ${first?.root}`);
  say(`  the way in      ssh -F ${config} ${first?.id}`);
}

/** Puts a file with the lab's environment beside it, for a second terminal. */
function writeEnvironment(fleet: LabFleet): string {
  const file = join(fleet.directory, "env.sh");
  mkdirSync(fleet.directory, { recursive: true });
  writeFileSync(
    file,
    Object.entries(fleet.env)
      .map(([name, value]) => `export ${name}='${value}'\n`)
      .join(""),
  );
  return file;
}

async function main(): Promise<void> {
  if (!insideNamespaces()) {
    say("edge-fleet demo: 20 loopback devices on this machine, the real Pulumi engine, nothing left behind.");
    await ensureDebianPackages(say, LAB_PACKAGES);
    await ensureToolchain((line) => say(paint("dim", `  ${line}`)), PARTS);
  }
  await enterNamespaces();
  const toolchain = await ensureToolchain(() => {}, PARTS);
  const pull = await PullFleet.start({ toolchain, devices: deviceRequests() });
  const { fleet } = pull;
  prepare(fleet);
  try {
    await firstRun(pull);
    await laterRuns(fleet);
    await lookAtHub(fleet);
    await tellPulls(pull, PODS, RINGS, {
      title,
      say,
      show: (args) => show(fleet, "edgeFleet", args, { pick: firstLine }),
    });
    tellPlaces(fleet);
    say(`\nDone in ${((performance.now() - started) / 1000).toFixed(0)} s. Real parts and stand-ins:`);
    for (const { name, real, version } of toolchain.parts)
      say(`  ${real ? "real     " : "stand-in "} ${name}  ${version}`);
    if (keep) await hold(say, fleet, writeEnvironment(fleet));
    else say("\nEverything has been taken down. To look around in it: npm run demo -- --keep");
  } finally {
    await pull.stop();
  }
}

await main();
