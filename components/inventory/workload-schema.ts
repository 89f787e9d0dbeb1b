/**
 * What fleet.yaml may say about workloads beside the overlays: which devices take one, where it lies in the tree, how it
 * is rolled out, what its project may deploy, and what single devices change of it.
 */
import { parse } from "yaml";
import { z } from "zod";
import {
  DeviceIdSchema,
  DeviceLabelsSchema,
  ModelNameSchema,
  name,
  RegionNameSchema,
  RingNameSchema,
} from "./settings-schema.ts";

/** A folder below another one: no `.`, no `..`, no leading slash. */
export const TREE_PATH = /^(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)*$/;

const share = (example: string) =>
  z
    .string()
    .regex(/^(100|\d{1,2})%$/, `is not a percentage - write e.g. ${example}`)
    .optional();

const GateSchema = z.strictObject({
  soak: z
    .string()
    .regex(/^\d+(m|h|d)$/, "is not a duration - write e.g. 90m, 2h or 1d")
    .optional()
    .describe(
      "How long that share of a ring's devices must have run a commit well before the next ring may take it. Default 2h",
    ),
  minHealthy: share("95%").describe(
    "Share of the devices of the ring before that must run its commit well. One that does not answer counts as one that does not. Default 95%",
  ),
  minHealthyPerModel: share("50%").describe(
    "The same of the devices of each model in that ring, so that a commit which one model cannot run is found where it is few of many. 0% asks for none. Default 50%",
  ),
  maxFailures: z
    .int()
    .min(0)
    .optional()
    .describe("Devices of the ring before that may fail, or fall silent with its commit. Default 2"),
});

/** `rollout` of fleet.yaml. */
export const RolloutSchema = GateSchema.extend({
  signedCommits: z.boolean().optional().describe("Only commits with a valid signature may be promoted. Default false"),
}).describe("What a promotion must wait for");

/** An entry of `workloads`. */
export const WorkloadSchema = z.strictObject({
  name: name(20).describe("Name of the workload; names its Application"),
  type: z
    .enum(["kustomize", "overlays", "helm"])
    .default("kustomize")
    .describe(
      "kustomize: the folder is built as it is. overlays: it has a `base/`, and edge-fleet writes `overlays/<region>/<model>/` on top of it, with Components `region/<region>/` and `model/<model>/` of yours. helm: it is a chart, its dependencies as archives in `charts/`, with values of yours in `values/region/<region>.yaml` and `values/model/<model>.yaml`",
    ),
  path: z
    .string()
    .regex(TREE_PATH, "is not a folder below the tree - write e.g. workloads/telemetry")
    .describe("Folder below the tree's folder"),
  namespace: name(63).describe("Namespace on the device"),
  project: name(63).optional().describe("AppProject. Default: that of the overlays"),
  state: z
    .enum(["present", "removed"])
    .default("present")
    .describe(
      "removed: devices uninstall it, also those that are off now. The entry may be deleted in the change after that",
    ),
  regions: z.array(RegionNameSchema).min(1).optional().describe("Only in these regions. Default: all"),
  models: z.array(ModelNameSchema).min(1).optional().describe("Only on these models. Default: all"),
  rings: z
    .array(RingNameSchema)
    .min(1)
    .optional()
    .describe(
      "Only on these rings, in the order in which a change passes through them. Default: all. Each ring pins the workload's own commit: rings/<workload>/<ring>.yaml",
    ),
  labels: DeviceLabelsSchema.optional().describe("Only on devices with all of these labels. Default: any labels"),
  rollout: GateSchema.optional().describe(
    "What its promotions must wait for, where that differs from the fleet's `rollout`",
  ),
});

/** An entry of `patches`. */
export const DevicePatchSchema = z
  .strictObject({
    workload: name(20).optional().describe("Name of the workload. Default: the overlays"),
    devices: z.array(DeviceIdSchema).min(1).optional().describe("Ids of the devices. Default: all with the labels"),
    labels: DeviceLabelsSchema.optional().describe("Labels that the devices have. Default: any labels"),
    target: z
      .strictObject({
        group: z.string().optional().describe("API group. Default: any"),
        kind: z.string().optional().describe("Kind. Default: any"),
        name: z.string().optional().describe("Name. Default: any"),
        labelSelector: z.string().optional().describe("Labels of the object, e.g. `app=web`. Default: any"),
      })
      .optional()
      .describe("Which objects, as Kustomize's `patches` selects them. Default: the one that the patch names"),
    patch: z
      .string()
      .refine(isPatch, "is no patch - write a map with apiVersion, kind and metadata.name, or a list of JSON patches")
      .describe("Strategic merge patch, or a list of JSON patches, as text"),
  })
  .refine(({ devices, labels }) => devices !== undefined || labels !== undefined, {
    error: "names no devices - add `devices` or `labels`; what all take belongs into the tree",
  });

/** An entry of `projects`. */
export const ProjectSchema = z.strictObject({
  kinds: z
    .array(
      z
        .string()
        .regex(
          /^([a-z0-9.-]+\/)?[A-Z][A-Za-z0-9]*$/,
          "is not a kind - write e.g. Node or rbac.authorization.k8s.io/ClusterRole",
        ),
    )
    .min(1)
    .optional()
    .describe(
      "Kinds that its workloads may bring beside what every project may: cluster-scoped ones, Role, RoleBinding, ResourceQuota and LimitRange. `<group>/<Kind>`, or `<Kind>` of the core group",
    ),
  namespaces: z
    .array(name(63))
    .min(1)
    .optional()
    .describe("Namespaces that its workloads may deploy to beside their own, e.g. kube-system"),
});

/** What Kustomize takes for a patch; it wants the name of an object even where a target says which. */
function isPatch(text: string): boolean {
  const Merge = z.looseObject({
    apiVersion: z.string(),
    kind: z.string(),
    metadata: z.looseObject({ name: z.string() }),
  });
  const Json = z.array(z.looseObject({ op: z.string(), path: z.string() })).min(1);
  try {
    return z.union([Merge, Json]).safeParse(parse(text)).success;
  } catch {
    return false;
  }
}
