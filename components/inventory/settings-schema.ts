/**
 * The settings of a device: what may be written in every layer (fleet, model, region, device). This is the one place of a
 * setting: its shape, its default (`.default`, or `.prefault({})` for a map whose fields have defaults) and its meaning.
 * The type of a profile, the defaults, the JSON Schemas and docs/inventory.md all follow from it.
 */
import { z } from "zod";
import { DistributionSettings } from "./distribution-schema.ts";
import { GitopsSchema } from "./gitops-schema.ts";
import { BackupSchema, RegistrySchema } from "./secret-schema.ts";

const DNS_1123 = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const HOST = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$/;
const LABEL_KEY = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/;
const TAINT =
  /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?=([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?:(NoSchedule|NoExecute|PreferNoSchedule)$/;
/** A region's files are `<region>.yaml` and `<region>.lock.yaml`. */
const FILE_NAMES = ["fleet", "models", "artifacts"];
const PUBLIC_KEY = /^(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,2}$/;

/** A name of Kubernetes' kind. @param max most characters */
export const name = (max: number) =>
  z
    .string()
    .max(max, `is longer than ${max} characters - shorten it`)
    .regex(DNS_1123, "is not a DNS-1123 label - use lower-case letters, digits and inner hyphens");

/** Device id: at most 53 characters, so that `<id>-workloads` still is a label value of at most 63 (RFC 1123). */
export const DeviceIdSchema = name(53).describe("Unique name of the device in the whole fleet; becomes its node name");
/** A region: the name of its file and of its stack. */
export const RegionNameSchema = name(30)
  .refine(
    (region) => !FILE_NAMES.includes(region),
    "is the name of another file of the inventory - choose another name",
  )
  .describe("Name of the region: its stack, its namespace `argocd-<region>`, its overlays");
/** A ring. */
export const RingNameSchema = name(30).describe("Rollout group; must be one of the fleet's `rings`");
/** A model. */
export const ModelNameSchema = name(30).describe("Hardware class; must be a key of models.yaml");

/** Labels of a device. */
export const DeviceLabelsSchema = z.record(
  z.string().max(317).regex(LABEL_KEY, "is not a Kubernetes label key"),
  z.string().max(63).regex(LABEL_VALUE, "is not a Kubernetes label value"),
);

/** Where an SSH server is. */
export const HostSchema = z
  .string()
  .max(253)
  .regex(HOST, "is not a host name or IP address - write a DNS name, an IPv4 or an IPv6 address without port");
const PortSchema = z.int().min(1).max(65535);

/** One OpenSSH public key without comment, e.g. `ssh-ed25519 AAAA…`. */
export const PublicKeySchema = z
  .string()
  .regex(PUBLIC_KEY, "is not an OpenSSH public key - write `<type> <base64>` without a comment");

/** No option of ssh, no second line of its configuration, nothing that a shell reads. */
const UserSchema = z
  .string()
  .max(64)
  .regex(/^[A-Za-z_][A-Za-z0-9._-]*$/, "is not a plain user name - use a letter, then letters, digits and ._-");

const ProxySchema = z
  .strictObject({
    host: HostSchema.describe("Jump host"),
    port: PortSchema.default(22).describe("Port of its SSH server"),
    user: UserSchema.optional().describe("Default: the device's user"),
    hostKey: PublicKeySchema.describe("Pinned public host key of the jump host"),
  })
  .describe("Jump host between the workstation and the device");

const SshSchema = z
  .strictObject({
    user: UserSchema.default("root").describe(
      "Log-in user. Another one than root needs password-less sudo, so it is root too",
    ),
    port: PortSchema.default(22).describe("Port of its SSH server"),
    proxy: ProxySchema.optional(),
  })
  .prefault({})
  .describe("How the device is reached. Authentication is the SSH agent of the machine on which the program runs");

const ArtifactsSchema = z
  .strictObject({
    delivery: z
      .enum(["fetch", "push"])
      .default("fetch")
      .describe("fetch: the device downloads. push: copied over the same SSH connection by `up`"),
    mirror: z
      .url({ protocol: /^https?$/, error: "is not an http(s) URL - write e.g. https://mirror.example.com/edge" })
      .optional()
      .describe("Base URL that replaces scheme and host of every artifact's URL"),
    maxKiBPerSecond: z
      .int()
      .min(16)
      .optional()
      .describe("Upper bound of a download or a push, in KiB per second. Default: none"),
    images: z
      .boolean()
      .default(false)
      .describe(
        "Also deliver the distribution's air-gap image archive and, with `mirror` on K3s and K0s, archives of the pull engine's images, so that a first start needs no registry",
      ),
  })
  .prefault({})
  .describe("Where a device gets its binaries from. Every byte is checked against artifacts.lock.yaml");

const ReadinessSchema = z
  .strictObject({
    timeoutSeconds: z
      .int()
      .min(10)
      .max(1800)
      .default(300)
      .describe("How long the device may take to become ready before it is rolled back"),
  })
  .prefault({})
  .describe("The health gate of one apply");

const NetworkSchema = z
  .strictObject({
    shape: z
      .enum(["single", "lan", "multi-site"])
      .default("single")
      .describe(
        "How the machines of one cluster reach each other: one machine, one layer-2 network, or routed sites. Decides the flannel backend: host-gw, vxlan, wireguard-native",
      ),
    nodeIp: z
      .union([z.ipv4(), z.ipv6()], "is not an IP address - write e.g. 10.0.0.7")
      .optional()
      .describe(
        "Address of the node. Set it where the device has several, or where DHCP may change it: K3s needs a fixed one",
      ),
    interface: z
      .string()
      .max(15)
      .regex(/^[A-Za-z0-9_.-]+$/, "is not an interface name - write e.g. eth0")
      .optional()
      .describe("Interface of the pod network. Default: that of the default route"),
    resolvConf: z
      .string()
      .regex(/^\/[A-Za-z0-9._/-]+$/, "is not an absolute path - write e.g. /etc/edge-resolv.conf")
      .optional()
      .describe("resolv.conf that pods inherit. Default: the device's own"),
    dummyRoute: z
      .boolean()
      .default(true)
      .describe("A last-resort default route on a dummy interface, without which K3s does not start off-line"),
  })
  .prefault({})
  .describe("The device's place in the network");

const TimeSchema = z
  .strictObject({
    zone: z
      .string()
      .regex(/^[A-Za-z]+(\/[A-Za-z0-9_+-]+)*$/, "is not a time zone - write e.g. Asia/Tokyo")
      .default("UTC")
      .describe("IANA time zone of the device's maintenance windows"),
    ntpServers: z
      .array(z.string().min(1))
      .default([])
      .describe("Time servers for systemd-timesyncd. Without any, the image's stay"),
  })
  .prefault({})
  .describe("Clock");

const MaintenanceWindowSchema = z.strictObject({
  days: z
    .array(z.enum(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]))
    .min(1)
    .optional()
    .describe("Default: every day"),
  start: z
    .string()
    .regex(/^([01]\d|2[0-3]):[0-5]\d$/, "is not a time of day - write e.g. 02:00")
    .describe("In the device's time zone"),
  durationMinutes: z.int().min(15).max(1440).describe("Length"),
});

const RollbackSchema = z
  .strictObject({
    afterSeconds: z
      .int()
      .min(60)
      .max(3600)
      .default(1200)
      .describe(
        "A device that does not finish an apply, whatever the reason, is brought back to its last good state after this many seconds",
      ),
  })
  .prefault({})
  .describe("The watchdog of one apply");

const DecommissionSchema = z
  .enum(["retain", "wipe"])
  .default("retain")
  .describe(
    "What `state: removed` does to the device: retain revokes it on the hub and leaves the machine alone; wipe also uninstalls the cluster and erases the identity",
  );

/**
 * The settings that every layer may carry. A list replaces the list of the layer below; a map is merged key by key. What
 * it parses gets the defaults, so a layer is only checked against it, and the merged layers are parsed.
 */
export const SettingsSchema = z.strictObject({
  ring: RingNameSchema.optional(),
  labels: DeviceLabelsSchema.default({}).describe("Labels for the node and for the device's cluster Secret on the hub"),
  taints: z
    .array(z.string().regex(TAINT, "is not a taint - write `key=value:NoSchedule`, NoExecute or PreferNoSchedule"))
    .default([])
    .describe("Taints of the node. On a single node a taint that nothing tolerates stops the workloads"),
  ssh: SshSchema,
  init: z
    .enum(["systemd", "openrc"])
    .default("systemd")
    .describe("Init system of the device: openrc for Alpine and its kin, not with MicroK8s"),
  ...DistributionSettings,
  network: NetworkSchema,
  security: z
    .enum(["baseline", "cis"])
    .default("cis")
    .describe("cis: the CIS hardening of docs/hardening.md. baseline: without its kernel and admission settings"),
  registries: z
    .record(z.string().min(1), RegistrySchema)
    .default({})
    .describe("Registry mirrors by registry host, e.g. docker.io; `*` for all"),
  time: TimeSchema,
  maintenance: z
    .array(MaintenanceWindowSchema)
    .default([])
    .describe("When workloads may change; without a window always. The device's own healing never waits"),
  artifacts: ArtifactsSchema,
  gitops: GitopsSchema,
  readiness: ReadinessSchema,
  rollback: RollbackSchema,
  backup: BackupSchema,
  decommission: DecommissionSchema,
  values: z
    .record(
      z
        .string()
        .max(63)
        .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, "is not a key of lower-case letters, digits and inner hyphens"),
      z.string().max(1024),
    )
    .default({})
    .describe(
      "Facts for workloads, e.g. coordinates: annotations `values.edge-fleet.dev/<key>` on every object of the device",
    ),
});

/** Settings of one layer, as they are written. */
export type Settings = z.input<typeof SettingsSchema>;

/** What holds where no layer says otherwise. Settings without a default are absent. */
export const DEFAULT_SETTINGS = SettingsSchema.parse({});
