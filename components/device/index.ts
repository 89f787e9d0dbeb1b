/**
 * The Device component: one device for programs that keep no inventory, e.g. beside the machine that they make. Where it is
 * and who it is may come from other resources; what it is to become is known when the program runs.
 */
import * as pulumi from "@pulumi/pulumi";
import { readStackResources, type Unrecorded, unrecorded } from "../engine.ts";
import { type ArtifactsLock, DEFAULT_SETTINGS, type Profile, profileOf, type Settings } from "../inventory/index.ts";
import { type DevicePlan, planDevice } from "../plan/device.ts";
import { removalText } from "../plan/text.ts";
import { registerDial } from "./command.ts";
import { openDialFolder, writeDialFiles } from "./folder.ts";
import { deviceProgram } from "./program.ts";
import { type DeviceOutcome, parseDialResult } from "./result.ts";
import type { SshEndpoint } from "./ssh.ts";
import { dialledDevices, nextAttempt } from "./state.ts";
import { supplyArtifacts } from "./supply.ts";

/** A device: where it is, and what it is to become. */
export interface DeviceArgs {
  /** Name or address on which its SSH server answers, e.g. the address of a droplet. */
  readonly host: pulumi.Input<string>;
  /** Its public host key, `<type> <base64>`. A device that answers with another one is refused. */
  readonly hostKey: pulumi.Input<string>;
  /** Log-in user: root, or one that may use sudo without a password. Default root. */
  readonly user?: pulumi.Input<string>;
  /** TCP port of the SSH server. Default 22. */
  readonly port?: pulumi.Input<number>;
  /** Jump host between this machine and the device. Default: none. */
  readonly jump?: pulumi.Input<SshEndpoint>;
  /** CPU architecture. */
  readonly architecture: Profile["architecture"];
  /** RAM in MiB. */
  readonly memoryMiB: number;
  /** Kubernetes distribution. Default k3s. */
  readonly distribution?: Profile["distribution"];
  /** Release of the distribution, e.g. `v1.36.2+k3s1`; it must be in {@link artifacts}. */
  readonly release: string;
  /** URL and SHA-256 of everything that is installed, as `artifacts.lock.yaml` has them. */
  readonly artifacts: ArtifactsLock;
  /** Any setting of docs/inventory.md, e.g. `{ wasm: ["spin"], labels: { tier: "gold" } }`. Default: none. */
  readonly settings?: Settings;
  /**
   * Objects that the device's own Argo CD starts from: AppProjects and the Applications that it pulls. With them the
   * device gets Argo CD, whose release must be in {@link artifacts}. Default: none, and no engine, unless
   * `settings.gitops.engine` says otherwise: a cluster that pulls nothing.
   */
  readonly entry?: readonly object[];
  /** Secrets that {@link settings} name, by key. Default: none. */
  readonly secrets?: Readonly<Record<string, pulumi.Input<string>>>;
  /** Region that the device tells its workloads. Default: the stack's name. */
  readonly region?: string;
  /**
   * The device is to leave: `wipe` takes the cluster and all that is edge-fleet's from it, `retain` leaves it alone. Only
   * after an `up` with it the device may go from the program. Default: it stays.
   */
  readonly removed?: "wipe" | "retain";
}

/** One device as a single-node cluster. Its name is the device's id, and its node's name. */
export class Device extends pulumi.ComponentResource<pulumi.Output<DeviceOutcome>> {
  /** What became of it. In a preview unknown where something is to be done. */
  readonly outcome: pulumi.Output<DeviceOutcome>;

  constructor(name: string, args: DeviceArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:Device", name, unrecorded(args), opts);
    this.outcome = pulumi.output(this.getData()).apply((outcome) => outcome);
  }

  protected override async initialize(
    { args }: Unrecorded<DeviceArgs>,
    _: pulumi.ComponentResourceOptions,
    id: string,
  ) {
    const previous = dialledDevices(await readStackResources()).get(id);
    const { host, hostKey, user = "root", port = 22, jump, secrets = {} } = args;
    const wanted = pulumi.all([host, hostKey, user, port, pulumi.output(jump), pulumi.output(secrets)]);
    const folders = pulumi.runtime.isDryRun() ? undefined : openDialFolder(pulumi.getStack(), deviceProgram());
    const plan = wanted.apply(async ([host, hostKey, user, port, jump, secrets]) => {
      const planned = planOf(id, args, secrets as Readonly<Record<string, string>>);
      if (folders !== undefined) {
        const target = { id, host, hostKey, user, port, jump };
        writeDialFiles(folders, { target, held: undefined, payload: planned.payload });
        await supplyArtifacts(planned.pushed, ".");
      }
      return planned;
    });
    const dial = {
      id,
      text: pulumi.unsecret(plan).apply(({ text }) => text),
      secretFiles: plan.apply(({ secretFiles }) => secretFiles),
      attempt: nextAttempt(previous),
      removed: args.removed !== undefined,
    };
    const { stdout } = registerDial(dial, args.secrets !== undefined, { parent: this });
    const outcome = pulumi.unsecret(stdout).apply(outcomeOf);
    this.registerOutputs({ outcome });
    return outcome;
  }
}

/** @throws RunError naming the device, the setting and the fix */
function planOf(id: string, args: DeviceArgs, secrets: Readonly<Record<string, string>>): DevicePlan {
  const program = deviceProgram().sha256;
  const {
    architecture,
    memoryMiB,
    release,
    distribution = DEFAULT_SETTINGS.distribution,
    artifacts,
    entry = [],
    removed,
  } = args;
  if (removed !== undefined) {
    const text = removalText({ id, decommission: removed }, program);
    return { id, text, payload: undefined, secretFiles: "", pushed: [], warnings: [] };
  }
  const engine = entry.length === 0 ? "none" : "argocd";
  const settings = {
    ...args.settings,
    gitops: { engine, ...args.settings?.gitops } as const,
    distribution,
    [distribution]: { ...args.settings?.[distribution], version: release },
  };
  try {
    const region = args.region ?? pulumi.getStack();
    return planDevice(profileOf({ id, region, architecture, memoryMiB, settings }), artifacts, program, {
      secrets,
      entry,
    });
  } catch (error) {
    throw error instanceof Error ? new pulumi.RunError(`device ${id}: ${error.message}`) : error;
  }
}

/** @throws RunError where the device failed: what depends on it does not go on */
function outcomeOf(line: string): DeviceOutcome {
  const outcome = parseDialResult(line)?.outcome;
  if (outcome === undefined) throw new pulumi.RunError("the dial was cut short - run up again");
  if (outcome.state === "failed") throw new pulumi.RunError(`${outcome.code}: ${outcome.reason}`);
  return outcome;
}
