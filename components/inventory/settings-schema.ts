/**
 * The settings of a device: what may be written in every layer (fleet, model, region, device), each with its default and
 * the reason. The layers themselves are in schema.ts; the defaults that a schema's words name are in profile.ts.
 */
import { z } from "zod";
import { DistributionSettings } from "./distribution-schema.ts";
import { BackupSchema, RegistrySchema } from "./secret-schema.ts";

const DNS_1123 = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const HOST = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$/;
const LABEL_KEY = /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?)?$/;
const TAINT =
  /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?=([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?:(NoSchedule|NoExecute|PreferNoSchedule)$/;
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
export const RegionNameSchema = name(30).describe(
  "Name of the region: its stack, its namespace `argocd-<region>`, its overlays",
);
/** A ring. */
export const RingNameSchema = name(30).describe("Rollout group; must be one of the fleet's `rings`");
/** A model. */
export const ModelNameSchema = name(30).describe("Hardware class; must be a key of models.yaml");

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
    maxKiBPerSecond: z
      .int()
      .min(16)
      .optional()
      .describe("Upper bound of a download or a push, in KiB per second. Default: none"),
    images: z
      .boolean()
      .optional()
      .describe(
        "Also deliver the distribution's air-gap image archive, so that a first start needs no registry. Default false",
      ),
  })
  .describe("Where a device gets its binaries from. Every byte is checked against artifacts.lock.yaml");

const GitopsSchema = z
  .strictObject({
    engine: z
      .enum(["argocd-agent", "argocd", "flux"])
      .optional()
      .describe(
        "What on the device pulls and heals; you install it there, and edge-fleet pulls prints what it takes. Default argocd-agent",
      ),
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

const NetworkSchema = z
  .strictObject({
    shape: z
      .enum(["single", "lan", "multi-site"])
      .optional()
      .describe(
        "How the machines of one cluster reach each other: one machine (default), one layer-2 network, or routed sites. Decides the flannel backend: host-gw, vxlan, wireguard-native",
      ),
    nodeIp: z
      .union([z.ipv4(), z.ipv6()])
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
      .optional()
      .describe(
        "A last-resort default route on a dummy interface, without which K3s does not start off-line. Default true",
      ),
  })
  .describe("The device's place in the network");

const TimeSchema = z
  .strictObject({
    zone: z
      .string()
      .regex(/^[A-Za-z]+(\/[A-Za-z0-9_+-]+)*$/, "is not a time zone - write e.g. Asia/Tokyo")
      .optional()
      .describe("IANA time zone of the device's maintenance windows. Default UTC"),
    ntpServers: z
      .array(z.string().min(1))
      .optional()
      .describe("Time servers for systemd-timesyncd. Default: the image's"),
  })
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

const PreflightSchema = z
  .strictObject({
    allowReboot: z
      .boolean()
      .optional()
      .describe(
        "A device whose kernel has the memory cgroup turned off (Raspberry Pi OS) turns it on and reboots, once in its life. Default false: the apply is refused with the mend",
      ),
  })
  .describe("What an apply may mend before it begins");

const RollbackSchema = z
  .strictObject({
    afterSeconds: z
      .int()
      .min(60)
      .max(3600)
      .optional()
      .describe(
        "A device that does not finish an apply, whatever the reason, is brought back to its last good state after this many seconds. Default 1200",
      ),
  })
  .describe("The watchdog of one apply");

const DecommissionSchema = z
  .enum(["retain", "wipe"])
  .optional()
  .describe(
    "What happens to a device that leaves the inventory: retain (default) revokes it on the hub and leaves the machine alone; wipe also uninstalls the cluster and erases the identity",
  );

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
  taints: z
    .array(z.string().regex(TAINT, "is not a taint - write `key=value:NoSchedule`, NoExecute or PreferNoSchedule"))
    .optional()
    .describe("Taints of the node. Default none: on a single node a taint that nothing tolerates stops the workloads"),
  ssh: SshSchema.optional(),
  init: z
    .enum(["systemd", "openrc"])
    .optional()
    .describe("Init system of the device. Default systemd; openrc for Alpine and its kin, not with MicroK8s"),
  preflight: PreflightSchema.optional(),
  ...DistributionSettings,
  network: NetworkSchema.optional(),
  security: z
    .enum(["baseline", "cis"])
    .optional()
    .describe(
      "cis (default): the CIS hardening of docs/hardening.md. baseline: without its kernel and admission settings",
    ),
  registries: z
    .record(z.string().min(1), RegistrySchema)
    .optional()
    .describe("Registry mirrors by registry host, e.g. docker.io; `*` for all"),
  time: TimeSchema.optional(),
  maintenance: z
    .array(MaintenanceWindowSchema)
    .optional()
    .describe("When workloads may change. Default: always. The device's own healing never waits"),
  artifacts: ArtifactsSchema.optional(),
  gitops: GitopsSchema.optional(),
  readiness: ReadinessSchema.optional(),
  rollback: RollbackSchema.optional(),
  backup: BackupSchema.optional(),
  decommission: DecommissionSchema,
  values: z
    .record(
      z
        .string()
        .max(63)
        .regex(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/, "is not a key of lower-case letters, digits and inner hyphens"),
      z.string().max(1024),
    )
    .optional()
    .describe(
      "Facts for workloads, e.g. coordinates: annotations `values.edge-fleet.dev/<key>` on every object of the device",
    ),
});

/** Settings of one layer, as they are written. */
export type Settings = z.infer<typeof SettingsSchema>;
