/**
 * The shape of the inventory: what an operator may write in `fleet.yaml`, `models.yaml` and `<region>.yaml`.
 *
 * Each of the four layers (fleet, model, region, device) is a few identity fields plus the same {@link SettingsSchema},
 * so a setting is written the same way wherever it is written. The nearest layer wins: device over region over model
 * over fleet. What a device is pinned to is in `<region>.lock.yaml`, see lock-schema.ts.
 */
import { z } from "zod";
import { WasmRuntimeSchema } from "./distribution-schema.ts";
import { HubSchema, type HubSettings } from "./hub-schema.ts";
import type { LockedDevice } from "./lock-schema.ts";
import {
  DeviceIdSchema,
  HostSchema,
  ModelNameSchema,
  name,
  RegionNameSchema,
  RingNameSchema,
  SettingsSchema,
} from "./settings-schema.ts";
import { DevicePatchSchema, ProjectSchema, RolloutSchema, TREE_PATH, WorkloadSchema } from "./workload-schema.ts";

export { PublicKeySchema, type Settings, SettingsSchema } from "./settings-schema.ts";

const QUANTITY = /^[1-9][0-9]*(Mi|Gi)$/;

/** One device of a region. */
export const DeviceSchema = SettingsSchema.extend({
  id: DeviceIdSchema,
  host: HostSchema.describe("Stable name or address on which the device's SSH server answers"),
  model: ModelNameSchema,
  state: z
    .enum(["present", "removed", "stolen"])
    .default("present")
    .describe(
      "removed: the next run takes the device off the hub and, with `decommission: wipe`, erases its cluster and identity. stolen: somebody else has the machine: the next run shuts it out of the hub and never dials it. The entry may be deleted in the change after that run; an entry that just disappears is refused",
    ),
  joins: DeviceIdSchema.optional().describe(
    "Id of the device whose cluster this machine joins as an agent. Both must be of one region, and the server comes first",
  ),
});

/** `stacks/<region>.yaml`. */
export const RegionSchema = SettingsSchema.extend({
  region: RegionNameSchema,
  state: z
    .enum(["present", "removed"])
    .default("present")
    .describe(
      "removed: every device of the region is removed as its own `state: removed` would, and then the region's part of the hub. The files of the region may be deleted in the change after that run; a region that just disappears is refused",
    ),
  devices: z.array(DeviceSchema).optional().describe("Devices, inline"),
  devicesFrom: z
    .string()
    .regex(/^[^/\\]+\.csv$/, "is not a CSV file beside this one - write e.g. tokyo.csv")
    .optional()
    .describe(
      "CSV file beside this one. Its header names fields by path: id,host,model, then any of ring,state,ssh.user,ssh.port,labels.<key>,...",
    ),
});

/** `stacks/models.yaml`: hardware classes by name. */
export const ModelSchema = SettingsSchema.extend({
  architecture: z.enum(["amd64", "arm64"]).describe("CPU architecture"),
  memory: z.string().regex(QUANTITY, "is not a memory size - write e.g. 2Gi or 512Mi").describe("RAM of the model"),
});
/** `models.yaml`. */
export const ModelsSchema = z.record(ModelNameSchema, ModelSchema);

/** `stacks/fleet.yaml`. */
export const FleetSchema = SettingsSchema.extend({
  fleet: name(30).describe("Name of the fleet"),
  git: z.strictObject({
    url: z.string().min(1).describe("URL of the Git repository that holds the emitted tree, as devices reach it"),
    branch: z.string().min(1).optional().describe("Branch whose ring files the hub follows. Default main"),
    path: z
      .string()
      .regex(TREE_PATH, "is not a folder below the root - write e.g. fleet")
      .optional()
      .describe("Folder of the tree inside the repository. Default fleet"),
    layout: z
      .enum(["live", "rendered"])
      .optional()
      .describe(
        "live (default): the device runs Kustomize. rendered: CI commits every leaf fully rendered, and the device applies plain manifests",
      ),
  }),
  rings: z.array(RingNameSchema).min(1).describe("Rollout groups in the order in which a change passes through them"),
  hub: z
    .union([z.literal("none"), HubSchema], "is neither none nor a map - write `none`, or a map with argocd")
    .describe("The one reachable cluster, or `none`: devices then pull from Git on their own, and nothing shows them"),
  workloads: z
    .array(WorkloadSchema)
    .optional()
    .describe(
      "Further workloads beside the overlay of each leaf, each an Application of its own on every selected device",
    ),
  patches: z
    .array(DevicePatchSchema)
    .optional()
    .describe("What single devices change of a workload. They reach a device with `up`, not through the rings"),
  projects: z
    .record(name(63), ProjectSchema)
    .optional()
    .describe(
      "What AppProjects allow beside the namespaces of their workloads, by name; edge-workloads is that of the overlays",
    ),
  rollout: RolloutSchema.optional(),
  policy: z
    .strictObject({
      requireDigests: z.boolean().optional().describe("Refuse images that are not pinned by digest. Default true"),
    })
    .optional()
    .describe("What `edge-fleet render --check` refuses in the tree"),
});

const ArtifactFileSchema = z.strictObject({
  url: z.string().min(1).describe("http(s) URL, or for the hub's manifests a path relative to the lock file"),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "is not a SHA-256 in lower-case hex"),
  size: z.int().positive().optional().describe("Bytes"),
});

const ImageSchema = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._/:-]*(:[A-Za-z0-9_][A-Za-z0-9._-]*)?@sha256:[0-9a-f]{64}$/,
    "is not an image by digest - write <registry>/<name>:<tag>@sha256:<digest>, or run edge-fleet lock",
  );

/** A file for each architecture of devices. */
const ArchitecturesSchema = z.strictObject({
  amd64: ArtifactFileSchema.optional(),
  arm64: ArtifactFileSchema.optional(),
});

const LockedArchitecturesSchema = ArchitecturesSchema.extend({
  images: ArchitecturesSchema.optional().describe("Air-gap image archives by architecture"),
});

const LockedSnapSchema = z.strictObject({
  revision: z.int().positive().describe("Revision of the microk8s snap"),
  snap: ArtifactFileSchema,
  assertions: ArtifactFileSchema.describe("Assertions that `snap ack` checks the snap's signature by"),
  base: ArtifactFileSchema.optional().describe("The core snap that microk8s is built on, for devices without a store"),
  baseAssertions: ArtifactFileSchema.optional(),
  snapd: ArtifactFileSchema.optional().describe(
    "The snapd snap, for devices without a store: snapd installs no snap on a classic system before it, and a base may need a newer snapd than the system's package",
  ),
  snapdAssertions: ArtifactFileSchema.optional(),
});

/** A controller with several kinds, by release. */
const ControllerReleasesSchema = z.record(
  z.string(),
  z.strictObject({
    image: ImageSchema.optional(),
    crds: z.array(ArtifactFileSchema).describe("Definitions of the kinds that it works on"),
  }),
);

/** `stacks/artifacts.lock.yaml`: what each version is, byte for byte. */
export const ArtifactsLockSchema = z.strictObject({
  k3s: z.record(z.string(), LockedArchitecturesSchema).optional().describe("K3s binaries by release and architecture"),
  k0s: z.record(z.string(), LockedArchitecturesSchema).optional().describe("K0s binaries by release and architecture"),
  k0sKey: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "is not a SHA-256 in lower-case hex")
    .optional()
    .describe(
      "SHA-256 of the public key (`cosign.pub`) that signs K0s binaries. `edge-fleet lock` writes it on first use and refuses another",
    ),
  microk8s: z
    .record(z.string(), z.strictObject({ amd64: LockedSnapSchema.optional(), arm64: LockedSnapSchema.optional() }))
    .optional()
    .describe("MicroK8s snaps by release and architecture"),
  wasm: z
    .partialRecord(
      WasmRuntimeSchema,
      z.strictObject({
        version: z.string().min(1),
        amd64: ArtifactFileSchema.optional(),
        arm64: ArtifactFileSchema.optional(),
      }),
    )
    .optional()
    .describe("Shim archives (tar.gz with one binary `containerd-shim-<runtime>-v<n>`) by runtime"),
  argocd: z
    .record(
      z.string(),
      z.strictObject({
        crds: z.array(ArtifactFileSchema).describe("Custom resource definitions"),
        controlPlane: ArtifactFileSchema.optional().describe("The namespaced install of one control plane of the hub"),
        images: z
          .strictObject({ argocd: ImageSchema.optional(), redis: ImageSchema.optional() })
          .optional()
          .describe("Images by digest, as the release's own manifests name them by tag"),
      }),
    )
    .optional()
    .describe("Argo CD by release"),
  flux: z
    .strictObject({
      sourceController: ControllerReleasesSchema.optional(),
      kustomizeController: ControllerReleasesSchema.optional(),
    })
    .optional()
    .describe("Flux' controllers, each by release"),
  argocdAgent: z
    .record(z.string(), z.strictObject({ image: ImageSchema }))
    .optional()
    .describe("argocd-agent by release: one image, the hub's and the devices'"),
  sealedSecrets: z
    .record(z.string(), z.strictObject({ image: ImageSchema.optional(), crd: ArtifactFileSchema.optional() }))
    .optional()
    .describe("The Sealed Secrets controller by release: its image, and the definition of its kind"),
  externalSecrets: ControllerReleasesSchema.optional().describe("The External Secrets controller by release"),
  imageArchives: z
    .record(ImageSchema, ArchitecturesSchema)
    .optional()
    .describe(
      "Images of pull engines as archives, by image and architecture, for devices with `artifacts.images` and a mirror; `edge-fleet lock` makes them",
    ),
});

/** An entry of a region's `devices`, as it is written, with what the region's lock has of it. */
export type DeviceEntry = z.input<typeof DeviceSchema> & {
  readonly [Field in keyof LockedDevice]?: LockedDevice[Field] | undefined;
};
/** `<region>.yaml`, as it is written. */
export type RegionFile = z.input<typeof RegionSchema>;
/** An entry of `models.yaml`, as it is written. */
export type Model = z.input<typeof ModelSchema>;
/** `fleet.yaml`, as it is written. */
export type FleetFile = z.input<typeof FleetSchema>;
/** The hub of a fleet, or undefined where `hub: none` says that it has none. */
export function hubOf({ hub }: Pick<FleetFile, "hub">): HubSettings | undefined {
  return hub === "none" ? undefined : HubSchema.parse(hub);
}
/** One locked file: where it is and what it must hash to. */
export type ArtifactFile = z.infer<typeof ArtifactFileSchema>;
/** Binaries of a release by architecture, and its image archives. */
export type LockedRelease = z.infer<typeof LockedArchitecturesSchema>;
/** A snap with its assertions, and those that are installed before it. */
export type LockedSnap = z.infer<typeof LockedSnapSchema>;
/** `artifacts.lock.yaml`, as it is written. */
export type ArtifactsLock = z.infer<typeof ArtifactsLockSchema>;
