/**
 * What a run wants of each device of a region: one {@link DevicePlan}, or the reason that forbids one. Made once in a
 * run, in this one place; everything after it only maps. Pure.
 */
import type { ArtifactsLock, Profile } from "../inventory/index.ts";
import type { ResolvedArtifact } from "./artifact.ts";
import { deviceContexts, type EntryOf } from "./contexts.ts";
import type { RenderContext } from "./distributions/distribution-plan.ts";
import { renderPayload } from "./payload.ts";
import { payloadDigest, planText, removalText } from "./text.ts";

/** What is wanted of one device. */
export interface DevicePlan {
  readonly id: string;
  /** What the engine compares and shows, and the dial reads, see {@link planText}. */
  readonly text: string;
  /** What is sent to the device; undefined for one that is to leave the fleet. */
  readonly payload: { readonly digest: string; readonly body: string } | undefined;
  /** Secret files in the payload's format; empty where there are none. */
  readonly secretFiles: string;
  /** Artifacts that travel over the dial's connection where the device lacks them. */
  readonly pushed: readonly ResolvedArtifact[];
  /** What works but is worth a look, see `DistributionPlan.warnings`. */
  readonly warnings: readonly string[];
}

/** A device for which there is no plan, and why: `<place> <field>: <what> - <fix>`. */
export interface Refusal {
  readonly id: string;
  readonly refused: string;
}

/** What the plans of a region are made from. */
export interface RegionPlanInput {
  /** Every device of the region. */
  readonly profiles: readonly Profile[];
  readonly artifacts: ArtifactsLock;
  /** Secrets of the stack by key, see `regionSecretKeys`. */
  readonly secrets: Readonly<Record<string, string>>;
  /** Why devices are refused, by id, see `planFindings`. Default: none. */
  readonly refused?: ReadonlyMap<string, string>;
  /** What engines start from. Default: nothing. */
  readonly entryOf?: EntryOf;
  /** URL of the fleet's repository. Default: none is read. */
  readonly gitUrl?: string;
  /** SHA-256 of the device program. */
  readonly program: string;
}

/** Plans every device of a region, in id order. A device that cannot be planned is refused alone. */
export function planRegion({
  profiles,
  artifacts,
  secrets,
  refused,
  entryOf,
  gitUrl,
  program,
}: RegionPlanInput): (DevicePlan | Refusal)[] {
  const contexts = deviceContexts(profiles, secrets, entryOf, gitUrl);
  return [...profiles]
    .sort((a, b) => (a.id < b.id ? -1 : 1))
    .map((profile) => {
      const { id } = profile;
      if (profile.state === "removed") return planRemoval(profile, program);
      const reason = refused?.get(id);
      if (reason !== undefined) return { id, refused: reason };
      try {
        return planDevice(profile, artifacts, program, contexts.get(id));
      } catch (error) {
        // A defect of ours is not the device's.
        if (!(error instanceof Error) || error.constructor !== Error) throw error;
        return { id, refused: error.message.replace(`device ${id}: `, "") };
      }
    });
}

/**
 * Plans one device.
 * @param program SHA-256 of the device program
 * @param context the server that an agent joins, and the secrets. Default: none
 * @throws Error naming the device, the setting and the fix, see {@link renderPayload}
 */
export function planDevice(
  profile: Profile,
  lock: ArtifactsLock,
  program: string,
  context: RenderContext = {},
): DevicePlan {
  const payload = renderPayload(profile, lock, context);
  return {
    id: profile.id,
    text: planText(profile, payload, program),
    payload: { digest: payloadDigest(payload), body: payload.body },
    secretFiles: payload.secretFiles,
    pushed: payload.artifacts.filter(({ delivery }) => delivery === "push"),
    warnings: payload.warnings,
  };
}

/** Plans the removal of a device that the inventory says is removed. */
function planRemoval(profile: Profile, program: string): DevicePlan {
  const { id } = profile;
  return {
    id,
    text: removalText(profile, program),
    payload: undefined,
    secretFiles: "",
    pushed: [],
    warnings: [],
  };
}

/** Tells a refusal from a plan. */
export function isRefusal(plan: DevicePlan | Refusal): plan is Refusal {
  return "refused" in plan;
}
