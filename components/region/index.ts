/**
 * The Region component: the devices of one region as its plan decided, and their registration on the hub.
 */
import * as pulumi from "@pulumi/pulumi";
import { Device, type DeviceArgs, type DeviceOutcome, FailureLog } from "../device/index.ts";
import { appliedAnew, type DeviceSpec, planDevice, planErasure, UNPINNED } from "../device/plan.ts";
import type { ApplicationSet } from "../gitops/index.ts";
import type { ArtifactsLock, Profile } from "../inventory/index.ts";
import { deviceContexts } from "../plan/contexts.ts";
import type { RenderContext } from "../plan/distributions/distribution-plan.ts";
import { RegionRegistration } from "../registration/region-registration.ts";
import { collectOutputs, type PreviousOutputs, type RegionOutputs } from "./outputs.ts";
import type { RegionPlan } from "./plan.ts";
import { ERASURE_ORDERED } from "./removal.ts";

/** What the planner has decided, and what its devices are made from. */
export interface RegionArgs {
  readonly plan: RegionPlan;
  readonly artifacts: ArtifactsLock;
  /** Outputs of the previous run. */
  readonly previous: PreviousOutputs;
  /** Every profile of the region: a device may join one that this run leaves out. */
  readonly profiles: readonly Profile[];
  /** Why devices cannot be planned, by id, see `planFindings`: each fails alone. Default: none. */
  readonly refused?: ReadonlyMap<string, string>;
  /** Secrets of the stack by key, see `regionSecretKeys`. */
  readonly secrets: Readonly<Record<string, string>>;
  /** The region's ApplicationSets on the hub. */
  readonly applicationSets: readonly ApplicationSet[];
  /** Kubeconfig of the region's account, or undefined while the hub has no control plane for the region. */
  readonly hubKubeconfig: pulumi.Input<string> | undefined;
}

/** One region. */
export class Region extends pulumi.ComponentResource {
  readonly outputs: pulumi.Output<RegionOutputs>;
  /** Ids of the devices that could not be planned; the output `failed` says why. */
  readonly refused: readonly string[];

  constructor(name: string, args: RegionArgs, opts?: pulumi.ComponentResourceOptions) {
    super("edge-fleet:index:Region", name, {}, opts);
    const { plan, artifacts } = args;
    const failures = new FailureLog();
    const register = (id: string, spec: DeviceArgs["spec"], action: DeviceArgs["action"]) =>
      new Device(id, { spec, action, failures }, { parent: this }).outcome;
    // A held device whose key has left the inventory keeps that of the state.
    const held: Profile[] = plan.hold.map(({ profile }) => ({ ...profile, hostKey: profile.hostKey ?? UNPINNED }));
    const contexts = deviceContexts(args.profiles, args.secrets);
    const specs: Record<string, DeviceSpec> = {};
    const outcomes: Record<string, pulumi.Output<DeviceOutcome>> = {};
    const refused: string[] = [];
    const skipped = new Set<string>();
    for (const profile of [...plan.apply, ...held]) {
      const { id } = profile;
      const spec = specOrRefusal(profile, artifacts, contexts.get(id), args.refused?.get(id));
      if (typeof spec === "string") {
        refused.push(id);
        const known = Object.hasOwn(args.previous.devices, id);
        const kept = known ? register(id, planErasure(id), "hold") : undefined;
        outcomes[id] = held.includes(profile) && kept !== undefined ? kept : pulumi.output({ failed: spec });
        if (!known) skipped.add(id);
        continue;
      }
      specs[id] = spec;
      const sent = args.previous.devices[id] === ERASURE_ORDERED ? appliedAnew(spec) : spec;
      outcomes[id] = register(id, sent, held.includes(profile) ? "hold" : "apply");
    }
    for (const id of plan.erase) outcomes[id] = register(id, planErasure(id), "erase");
    for (const { id } of plan.overdue) outcomes[id] = register(id, planErasure(id), "hold");
    const clusters = [...plan.apply, ...held].filter(({ id, joins }) => joins === undefined && !skipped.has(id));
    if (args.hubKubeconfig !== undefined) {
      new RegionRegistration(
        `${name}-registration`,
        { kubeconfig: args.hubKubeconfig, profiles: clusters, applicationSets: args.applicationSets },
        { parent: this },
      );
    }
    this.refused = refused;
    this.outputs = pulumi.all(outcomes).apply((results) => collectOutputs(plan, args.previous, specs, results));
    this.registerOutputs();
  }
}

/** What to send, or why the device cannot be planned: without its artifact, a secret, or settings that work. */
function specOrRefusal(
  profile: Profile,
  artifacts: ArtifactsLock,
  context: RenderContext | undefined,
  refused: string | undefined,
): DeviceSpec | string {
  if (refused !== undefined) return refused;
  try {
    return planDevice(profile, artifacts, context);
  } catch (error) {
    if (!(error instanceof Error) || error.constructor !== Error) throw error;
    return error.message.replace(`device ${profile.id}: `, "");
  }
}
