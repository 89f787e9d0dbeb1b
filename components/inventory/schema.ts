/**
 * The shape of the inventory: what an operator may write in `fleet.yaml`, `models.yaml` and `<region>.yaml`.
 *
 * Each of the four layers (fleet, model, region, device) is a few identity fields plus the same {@link SettingsSchema},
 * so a setting is written the same way wherever it is written. The nearest layer wins: device over region over model
 * over fleet.
 */
import { z } from "zod";

const DNS_1123 = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const HOST = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$/;
const LABEL_KEY = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/;
const PUBLIC_KEY = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,2}$/;
const QUANTITY = /^[1-9][0-9]*(Mi|Gi)$/;

const name = (max: number) =>
  z
    .string()
    .max(max, `is longer than ${max} characters - shorten it`)
    .regex(DNS_1123, "is not a DNS-1123 label - use lower-case letters, digits and inner hyphens");

/** Device id: at most 54 characters, so that `<id>-workloads` still is a label value of at most 63 (RFC 1123). */
export const DeviceIdSchema = name(53).describe("Unique name of the device in the whole fleet; becomes its node name");
const RegionNameSchema = name(30).describe(
  "Name of the region: its stack, its namespace `argocd-<region>`, its overlays",
);
const RingNameSchema = name(30).describe("Rollout group; must be one of the fleet's `rings`");
const ModelNameSchema = name(30).describe("Hardware class; must be a key of models.yaml");

const HostSchema = z
  .string()
  .max(253)
  .regex(HOST, "is not a host name or IP address - write a DNS name, an IPv4 or an IPv6 address without port");
const PortSchema = z.int().min(1).max(65535);

/** One OpenSSH public key without comment, e.g. `ssh-ed25519 AAAA…`. */
export const PublicKeySchema = z
  .string()
  .regex(PUBLIC_KEY, "is not an OpenSSH public key - write `<type> <base64>` without a comment");

const ProxySchema = z
  .strictObject({
    host: HostSchema.describe("Jump host"),
    port: PortSchema.optional().describe("Default 22"),
    user: z.string().min(1).optional().describe("Default: the device's user"),
    hostKey: PublicKeySchema.describe("Pinned public host key of the jump host"),
  })
  .describe("Jump host between the controller and the device");

const SshSchema = z
  .strictObject({
    user: z.string().min(1).optional().describe("Log-in user. Default `root`; another user needs password-less sudo"),
    port: PortSchema.optional().describe("Default 22"),
    proxy: ProxySchema.optional(),
  })
  .describe("How the controller reaches the device. Authentication is the controller's SSH agent");

const K3sSchema = z
  .strictObject({
    version: z
      .string()
      .regex(/^v\d+\.\d+\.\d+\+k3s\d+$/, "is not a K3s release - write e.g. v1.36.2+k3s1")
      .optional()
      .describe("Pinned release; its artifacts must be in artifacts.lock.yaml"),
    disable: z
      .array(z.enum(["coredns", "traefik", "servicelb", "metrics-server", "local-storage", "runtimes"]))
      .optional()
      .describe("Packaged components to leave out. Default traefik, servicelb, metrics-server: they cost memory"),
    flannelBackend: z
      .enum(["host-gw", "vxlan", "wireguard-native", "none"])
      .optional()
      .describe("Default host-gw: on a single node it carries no traffic and needs no kernel module"),
    clusterCidr: z.string().optional().describe("Pod network. Fixed at first start. Default 10.42.0.0/16"),
    serviceCidr: z.string().optional().describe("Service network. Fixed at first start. Default 10.43.0.0/16"),
  })
  .describe("K3s with the embedded SQLite datastore");

const ArtifactsSchema = z
  .strictObject({
    delivery: z
      .enum(["fetch", "push"])
      .optional()
      .describe("fetch (default): the device downloads. push: `edge-fleet push` copies over SSH before `up`"),
    mirror: z
      .url({ protocol: /^https?$/, error: "is not an http(s) URL - write e.g. https://mirror.example.com/edge" })
      .optional()
      .describe("Base URL that replaces scheme and host of every artifact's URL"),
  })
  .describe("Where a device gets its binaries from. Every byte is checked against artifacts.lock.yaml");

const GitopsSchema = z
  .strictObject({
    engine: z
      .enum(["argocd-agent", "argocd", "flux"])
      .optional()
      .describe("What on the device pulls and heals. Default argocd-agent"),
  })
  .describe("How the device gets its workloads");

const ReadinessSchema = z
  .strictObject({
    timeoutSeconds: z
      .int()
      .min(10)
      .max(1800)
      .optional()
      .describe("How long the device may take to become ready before it is rolled back. Default 300"),
  })
  .describe("The health gate of one apply");

/** The settings that every layer may carry. A list replaces the list of the layer below; a map is merged key by key. */
export const SettingsSchema = z.strictObject({
  ring: RingNameSchema.optional(),
  labels: z
    .record(
      z.string().max(317).regex(LABEL_KEY, "is not a Kubernetes label key"),
      z.string().max(63).regex(LABEL_VALUE, "is not a Kubernetes label value"),
    )
    .optional()
    .describe("Labels for the node and for the device's cluster Secret on the hub"),
  ssh: SshSchema.optional(),
  distribution: z.enum(["k3s"]).optional().describe("Kubernetes distribution. Default k3s"),
  k3s: K3sSchema.optional(),
  artifacts: ArtifactsSchema.optional(),
  gitops: GitopsSchema.optional(),
  readiness: ReadinessSchema.optional(),
});

/** What `edge-fleet enroll` learnt about a device. Read by people and by preflight; never by hand. */
export const FactsSchema = z.strictObject({
  architecture: z.enum(["amd64", "arm64"]).optional(),
  memoryMiB: z.int().positive().optional(),
  os: z.string().optional(),
  kernel: z.string().optional(),
  machineId: z.string().optional().describe("SHA-256 of /etc/machine-id: finds cloned images without telling the id"),
  enrolledAt: z.string().optional().describe("RFC 3339 date"),
});

/** One device of a region. */
export const DeviceSchema = SettingsSchema.extend({
  id: DeviceIdSchema,
  host: HostSchema.describe("Stable name or address on which the device's SSH server answers"),
  model: ModelNameSchema,
  hostKey: PublicKeySchema.optional().describe(
    "Pinned SSH host key. Written by `edge-fleet enroll`; without it the device is pending",
  ),
  identityKey: PublicKeySchema.optional().describe(
    "Public half of the device's own identity. Written by `edge-fleet enroll`",
  ),
  facts: FactsSchema.optional(),
});

/** `stacks/<region>.yaml`. */
export const RegionSchema = SettingsSchema.extend({
  region: RegionNameSchema,
  devices: z.array(DeviceSchema).optional().describe("Devices, inline"),
  devicesFrom: z
    .string()
    .regex(/^[^/\\]+\.csv$/, "is not a CSV file beside this one - write e.g. tokyo.csv")
    .optional()
    .describe(
      "CSV file beside this one. Its header names fields by path: id,host,model, then any of ring,hostKey,identityKey,ssh.user,ssh.port,labels.<key>,...",
    ),
});

/** `stacks/models.yaml`: hardware classes by name. */
export const ModelSchema = SettingsSchema.extend({
  architecture: z.enum(["amd64", "arm64"]).describe("CPU architecture"),
  memory: z.string().regex(QUANTITY, "is not a memory size - write e.g. 2Gi or 512Mi").describe("RAM of the model"),
});
export const ModelsSchema = z.record(ModelNameSchema, ModelSchema);

/** `stacks/fleet.yaml`. */
export const FleetSchema = SettingsSchema.extend({
  fleet: name(30).describe("Name of the fleet"),
  git: z.strictObject({
    url: z.string().min(1).describe("URL of the Git repository that holds the emitted tree, as devices reach it"),
    branch: z.string().min(1).optional().describe("Branch whose ring files the hub follows. Default main"),
    path: z
      .string()
      .regex(
        /^(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+(\/(?!\.{1,2}(\/|$))[A-Za-z0-9._-]+)*$/,
        "is not a folder below the root - write e.g. fleet",
      )
      .optional()
      .describe("Folder of the tree inside the repository. Default fleet"),
  }),
  rings: z.array(RingNameSchema).min(1).describe("Rollout groups in the order in which a change passes through them"),
  hub: z
    .strictObject({
      stack: z.string().min(1).optional().describe("Stack that installs the hub. Default hub"),
      argocd: z
        .strictObject({
          version: z.string().regex(/^v\d+\.\d+\.\d+$/, "is not a release - write e.g. v3.2.0"),
        })
        .describe("Argo CD release; its manifests must be in artifacts.lock.yaml"),
    })
    .describe("The one reachable cluster"),
  guard: z
    .strictObject({
      maxRemovals: z
        .int()
        .min(0)
        .optional()
        .describe(
          "How many applied devices may leave the inventory in one run. Default 1: a list edit must not delete a region",
        ),
    })
    .optional(),
});

const ArtifactFileSchema = z.strictObject({
  url: z.string().min(1).describe("http(s) URL, or for the hub's manifests a path relative to the lock file"),
  sha256: z.string().regex(/^[0-9a-f]{64}$/, "is not a SHA-256 in lower-case hex"),
  size: z.int().positive().optional().describe("Bytes"),
});

/** `stacks/artifacts.lock.yaml`: what each version is, byte for byte. */
export const ArtifactsLockSchema = z.strictObject({
  k3s: z
    .record(z.string(), z.strictObject({ amd64: ArtifactFileSchema.optional(), arm64: ArtifactFileSchema.optional() }))
    .optional()
    .describe("K3s binaries by release and architecture"),
  argocd: z
    .record(z.string(), z.strictObject({ crds: z.array(ArtifactFileSchema), controlPlane: ArtifactFileSchema }))
    .optional()
    .describe("Argo CD manifests by release: the CRDs, and the namespaced install of one control plane"),
});

export type Settings = z.infer<typeof SettingsSchema>;
export type DeviceEntry = z.infer<typeof DeviceSchema>;
export type RegionFile = z.infer<typeof RegionSchema>;
export type Model = z.infer<typeof ModelSchema>;
export type FleetFile = z.infer<typeof FleetSchema>;
export type ArtifactFile = z.infer<typeof ArtifactFileSchema>;
export type ArtifactsLock = z.infer<typeof ArtifactsLockSchema>;
