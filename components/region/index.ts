/**
 * The Region component: every device of one region as a dial, and their registration on the hub. What is to happen was
 * planned before; this maps it to resources.
 */
import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { registerDial } from "../device/command.ts";
import { type DeviceOutcome, parseDialResult } from "../device/result.ts";
import { DIAL_ENVIRONMENT, dialledDevices } from "../device/state.ts";
import { failAtEnd, leaveToEngine, readOutput, readStackResources, type Unrecorded, unrecorded } from "../engine.ts";
import { movingRelease } from "../gitops/engine/agent/settings.ts";
import { renderApplicationSets, treeInput } from "../gitops/index.ts";
import { FLEET_CA_KEY, openFleetAuthority } from "../identity/authority.ts";
import { planBlocklist } from "../identity/revocation.ts";
import { type Inventory, resolveFleet } from "../inventory/index.ts";
import { RegionRegistration } from "../registration/region-registration.ts";
import { tellSummary } from "../summary.ts";
import { describeRunChanges } from "./changes.ts";
import { writeRuns } from "./dial-files.ts";
import { refuseLeftHub, refuseOtherHub } from "./hub-access.ts";
import { describeReasons, type RegionOutputs, regionOutputs } from "./outputs.ts";
import { type DeviceRun, planRuns } from "./plan.ts";
import { prepareRegion } from "./prepare.ts";

/** What a region is made from. */
export interface RegionArgs {
  /** The fleet, see `loadInventory`. */
  readonly inventory: Inventory;
  /** Name of the region in the inventory. Default: the resource's name. */
  readonly region?: string;
  /**
   * Secrets that the region's devices need, by key: passwords of registries and backups, cluster tokens. Default: those of
   * the stack's configuration, `edge-fleet:<key>`.
   */
  readonly secrets?: Readonly<Record<string, string>>;
  /** Kubeconfig of the region's account on the hub, output `kubeconfig-<region>` of its stack. Default: no hub. */
  readonly hubKubeconfig?: pulumi.Input<string>;
  /** See `RegionRegistrationArgs.awaitReady`. Default true. */
  readonly awaitReady?: boolean;
}

/** One region. Each of its devices is dialled where it is not as the inventory says. */
export class Region extends pulumi.ComponentResource<pulumi.Output<RegionOutputs>> {
  /** What became of the devices. In a preview unknown where something is to be dialled. */
  readonly outputs: pulumi.Output<RegionOutputs>;

  constructor(name: string, args: RegionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:Region", name, unrecorded(args), opts);
    this.outputs = pulumi.output(this.getData()).apply((outputs) => outputs);
  }

  protected override async initialize(
    { args }: Unrecorded<RegionArgs>,
    _: pulumi.ComponentResourceOptions,
    name: string,
  ) {
    const { inventory, region = name } = args;
    const { runs, blocklist } = await planAll(region, args);
    await tellSummary(`region ${region}`, describeRunChanges(inventory, runs), this);
    if (!pulumi.runtime.isDryRun()) await writeRuns(runs, inventory);
    const commands = registerRuns(runs, this);
    if (args.hubKubeconfig !== undefined) register(name, region, args.hubKubeconfig, args, { runs, blocklist }, this);
    const outputs = await outputsOf(runs, commands);
    if (pulumi.runtime.isDryRun()) await forewarn(runs, this);
    else await report(outputs, this);
    this.registerOutputs({ outputs });
    return pulumi.output(outputs);
  }
}

/** What is to happen with the devices of a region, and which certificates its principal refuses. */
interface PlannedRegion {
  readonly runs: readonly DeviceRun[];
  /** See `planBlocklist`. */
  readonly blocklist: Readonly<Record<string, string>> | undefined;
}

/** @throws RunError when the region is unknown, its hub another one, the fleet's authority is not configured, or devices are gone that were not removed */
async function planAll(region: string, { inventory, secrets, hubKubeconfig }: RegionArgs): Promise<PlannedRegion> {
  const resources = await readStackResources();
  const kubeconfig = hubKubeconfig === undefined ? undefined : await readOutput(pulumi.output(hubKubeconfig));
  try {
    if (hubKubeconfig === undefined) refuseLeftHub(region, resources);
    else if (kubeconfig !== undefined) refuseOtherHub(region, kubeconfig, resources);
    const { profiles, fleet, plans, warnings } = prepareRegion(inventory, region, secrets);
    for (const warning of warnings) await pulumi.log.warn(warning);
    const runs = planRuns({ region, profiles, fleet, plans, previous: dialledDevices(resources) });
    const key = secrets?.[FLEET_CA_KEY] ?? pulumi.runtime.getConfig(`edge-fleet:${FLEET_CA_KEY}`);
    const { lock } = inventory.regions.get(region) ?? {};
    return { runs, blocklist: lock && planBlocklist(lock, profiles, () => openFleetAuthority(key)) };
  } catch (error) {
    throw error instanceof Error && error.constructor === Error ? new pulumi.RunError(error.message) : error;
  }
}

/** An agent's dial comes after its server's. */
function registerRuns(runs: readonly DeviceRun[], parent: pulumi.Resource): Map<string, local.Command> {
  const commands = new Map<string, local.Command>();
  const servers = runs.filter(({ profile }) => profile.joins === undefined);
  const agents = runs.filter(({ profile }) => profile.joins !== undefined);
  for (const { id, profile, dial } of [...servers, ...agents]) {
    if (dial === undefined) continue;
    const server = profile.joins === undefined ? undefined : commands.get(profile.joins);
    const opts = { parent, ...(server === undefined ? {} : { dependsOn: [server] }) };
    const command = registerDial({ id, ...dial, removed: profile.state === "removed" }, dial.secretFiles !== "", opts);
    leaveToEngine(command);
    commands.set(id, command);
  }
  return commands;
}

/** An agent is a node of its server's cluster, and not one that could be registered. */
function register(
  name: string,
  region: string,
  kubeconfig: pulumi.Input<string>,
  { inventory, awaitReady = true }: RegionArgs,
  { runs, blocklist }: PlannedRegion,
  parent: pulumi.Resource,
): void {
  const clusters = runs.filter(({ profile, dial }) => profile.joins === undefined && dial !== undefined);
  const profiles = clusters.map(({ profile }) => profile);
  new RegionRegistration(
    `${name}-registration`,
    {
      kubeconfig,
      profiles,
      removed: new Set(profiles.filter(({ state }) => state === "removed").map(({ id }) => id)),
      regionRemoved: inventory.regions.get(region)?.state === "removed",
      blocklist,
      awaitReady,
      applicationSets: renderApplicationSets(region, treeInput(inventory, resolveFleet(inventory))),
    },
    { parent },
  );
}

/** What the state has of a dial after the run; null: it failed, and the engine has told why. */
type Dialled = { readonly text: string; readonly secretFiles: string; readonly line: string } | null;

function dialled({ stdin, environment, stdout }: local.Command): pulumi.Output<Dialled> {
  const known = pulumi.all([stdin, environment, stdout]).apply(([text = "", variables = {}, line]) => {
    return { text, secretFiles: variables[DIAL_ENVIRONMENT.secrets] ?? "", line };
  });
  return pulumi.recover(known as pulumi.Output<Dialled>, () => null);
}

/**
 * In a run that dials the values are awaited one by one: what `--target` leaves out has none, and must not make the others
 * unknown.
 */
async function outputsOf(
  runs: readonly DeviceRun[],
  commands: ReadonlyMap<string, local.Command>,
): Promise<RegionOutputs | pulumi.Output<RegionOutputs>> {
  const all = new Map([...commands].map(([id, command]) => [id, dialled(command)]));
  const agents = new Map(runs.map(({ id, profile }) => [id, movingRelease(profile)]));
  const collect = (known: Readonly<Record<string, Dialled | undefined>>): RegionOutputs =>
    regionOutputs(new Map(runs.map((run) => [run.id, outcomeOf(run, known[run.id])])), agents);
  if (pulumi.runtime.isDryRun()) {
    const known = pulumi.unsecret(pulumi.all(Object.fromEntries(all))) as pulumi.Output<Record<string, Dialled>>;
    return known.apply(collect);
  }
  const known = await Promise.all([...all].map(async ([id, dial]) => [id, await readOutput(dial)] as const));
  return collect(Object.fromEntries(known));
}

/** @param dialled undefined where it was left out and the state has none; another plan than is wanted: it was left out too */
function outcomeOf({ held, previous, dial }: DeviceRun, dialled: Dialled | undefined): DeviceOutcome {
  const release = previous?.outcome?.release ?? "";
  if (held !== undefined) return { ...held, release };
  const stale = dialled != null && (dialled.text !== dial?.text || dialled.secretFiles !== dial.secretFiles);
  if (dialled === undefined || stale)
    return { state: "pending", code: "left-out", reason: "the run left it out - run up without --target", release };
  return (
    parseDialResult(dialled?.line ?? "")?.outcome ?? {
      ...{ state: "failed", code: "interrupted", release },
      reason: "its dial was cut short, see the error of its command - run up again",
    }
  );
}

/** Tells in a preview which devices will not be dialled. An error would end `pulumi up` before it begins. */
async function forewarn(runs: readonly DeviceRun[], region: Region): Promise<void> {
  const held = new Map(
    runs.flatMap(({ id, held }) => (held === undefined ? [] : [[id, { ...held, release: "" }] as const])),
  );
  const { pending, failed } = regionOutputs(held);
  for (const line of [...describeReasons("will fail", failed), ...describeReasons("pending", pending)])
    await pulumi.log.warn(line, region);
}

/** Tells what became of the devices, and makes the run fail where one has. */
async function report(outputs: RegionOutputs | pulumi.Output<RegionOutputs>, region: Region): Promise<void> {
  if (pulumi.Output.isInstance(outputs)) return;
  const waiting = Object.entries(outputs.waiting).map(([id, reason]) => [id, { code: "engine", reason }] as const);
  const told = [
    ...describeReasons("applied, and waiting", Object.fromEntries(waiting)),
    ...describeReasons("pending", outputs.pending),
  ];
  for (const line of told) await pulumi.log.warn(line, region);
  const failed = describeReasons("failed", outputs.failed);
  if (failed.length > 0) await failAtEnd(failed.join("\n"), region);
}
