/**
 * The Region component: the devices of one region as its plan decided, and their registration on the hub.
 */
import * as pulumi from "@pulumi/pulumi";
import { Device, type DeviceOutcome, FailureLog } from "../device/index.ts";
import { planDevice } from "../device/plan.ts";
import type { ApplicationSet } from "../gitops/index.ts";
import type { ArtifactsLock } from "../inventory/index.ts";
import { RegionRegistration } from "../registration/region-registration.ts";
import { collectOutputs, type RegionOutputs } from "./outputs.ts";
import type { RegionPlan } from "./plan.ts";

export interface RegionArgs {
  readonly plan: RegionPlan;
  readonly artifacts: ArtifactsLock;
  /** Output `devices` of the previous run. */
  readonly previous: Readonly<Record<string, string>>;
  readonly applicationSet: ApplicationSet;
  /** Kubeconfig of the region's account, or undefined while the hub has no control plane for the region. */
  readonly hubKubeconfig: pulumi.Input<string> | undefined;
}

/** One region. */
export class Region extends pulumi.ComponentResource {
  readonly outputs: pulumi.Output<RegionOutputs>;

  constructor(name: string, args: RegionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:Region", name, {}, opts);
    const { plan, artifacts } = args;
    const failures = new FailureLog();
    const held = plan.hold.map(({ profile }) => profile);
    const outcomes: Record<string, pulumi.Output<DeviceOutcome>> = {};
    for (const profile of [...plan.apply, ...held]) {
      const spec = planDevice(profile, artifacts);
      const device = new Device(profile.id, { spec, held: held.includes(profile), failures }, { parent: this });
      outcomes[profile.id] = device.outcome;
    }
    if (args.hubKubeconfig !== undefined) {
      new RegionRegistration(
        `${name}-registration`,
        { kubeconfig: args.hubKubeconfig, profiles: [...plan.apply, ...held], applicationSet: args.applicationSet },
        { parent: this },
      );
    }
    this.outputs = pulumi.all(outcomes).apply((results) => collectOutputs(plan, args.previous, results));
    this.registerOutputs();
  }
}
