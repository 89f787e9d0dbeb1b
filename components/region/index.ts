/**
 * The Region component: the devices of one region as its plan decided, and their registration on the hub.
 */
import * as pulumi from "@pulumi/pulumi";
import { Device, type DeviceOutcome, FailureLog } from "../device/index.ts";
import { type DeviceSpec, planDevice } from "../device/plan.ts";
import type { ApplicationSet } from "../gitops/index.ts";
import type { ArtifactsLock, Profile } from "../inventory/index.ts";
import { RegionRegistration } from "../registration/region-registration.ts";
import { deviceContexts } from "./contexts.ts";
import { collectOutputs, type PreviousOutputs, type RegionOutputs } from "./outputs.ts";
import type { RegionPlan } from "./plan.ts";

export interface RegionArgs {
  readonly plan: RegionPlan;
  readonly artifacts: ArtifactsLock;
  /** Outputs of the previous run. */
  readonly previous: PreviousOutputs;
  /** Every profile of the region: a device may join one that this run leaves out. */
  readonly profiles: readonly Profile[];
  /** Secrets of the stack by key, see `regionSecretKeys`. */
  readonly secrets: Readonly<Record<string, string>>;
  /** The region's ApplicationSets on the hub. */
  readonly applicationSets: readonly ApplicationSet[];
  /** Kubeconfig of the region's account, or undefined while the hub has no control plane for the region. */
  readonly hubKubeconfig: pulumi.Input<string> | undefined;
}

/**
 * Host key of a held device whose own has left the inventory: its resource ignores it, and should there be none in the
 * state, no connection comes about.
 */
const UNPINNED = "no-host-key-is-pinned";

/** One region. */
export class Region extends pulumi.ComponentResource {
  readonly outputs: pulumi.Output<RegionOutputs>;

  constructor(name: string, args: RegionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:Region", name, {}, opts);
    const { plan, artifacts } = args;
    const failures = new FailureLog();
    const held: Profile[] = plan.hold.map(({ profile }) => ({ ...profile, hostKey: profile.hostKey ?? UNPINNED }));
    const contexts = deviceContexts(args.profiles, args.secrets);
    const specs: Record<string, DeviceSpec> = {};
    const outcomes: Record<string, pulumi.Output<DeviceOutcome>> = {};
    for (const profile of [...plan.apply, ...held]) {
      const spec = planDevice(profile, artifacts, contexts.get(profile.id));
      specs[profile.id] = spec;
      const device = new Device(profile.id, { spec, held: held.includes(profile), failures }, { parent: this });
      outcomes[profile.id] = device.outcome;
    }
    const clusters = [...plan.apply, ...held].filter(({ joins }) => joins === undefined);
    if (args.hubKubeconfig !== undefined) {
      new RegionRegistration(
        `${name}-registration`,
        { kubeconfig: args.hubKubeconfig, profiles: clusters, applicationSets: args.applicationSets },
        { parent: this },
      );
    }
    this.outputs = pulumi.all(outcomes).apply((results) => collectOutputs(plan, args.previous, specs, results));
    this.registerOutputs();
  }
}
