/**
 * The shape of `<region>.lock.yaml`: what enrollment has learnt about the devices of a region. The file belongs to the
 * command: it is written whole, reviewed and committed like package-lock.json, and nobody edits it.
 */
import { z } from "zod";
import { DeviceIdSchema, PublicKeySchema } from "./settings-schema.ts";

/** What `edge-fleet enroll` learnt about a device. Read by people, by `doctor` and by the check for cloned images. */
const FactsSchema = z.strictObject({
  architecture: z.enum(["amd64", "arm64"]).optional().describe("CPU architecture"),
  memoryMiB: z.int().positive().optional().describe("RAM in MiB"),
  os: z.string().optional().describe("Name and version, as /etc/os-release has them"),
  kernel: z.string().optional().describe("Release, as `uname -r` prints it"),
  machineId: z.string().optional().describe("SHA-256 of /etc/machine-id: finds cloned images without telling the id"),
  enrolledAt: z.string().optional().describe("RFC 3339 date"),
});

/** What is pinned of one device. */
const LockedDeviceSchema = z.strictObject({
  hostKey: PublicKeySchema.describe("Pinned SSH host key; a device that answers with another one is refused"),
  identityKey: PublicKeySchema.optional().describe("Public half of the device's own identity"),
  facts: FactsSchema.optional().describe("What the device said about itself"),
});

/**
 * Identity keys that devices of the region had before, by id: of one that was enrolled anew with another key, or whose
 * entry went. The hub refuses every certificate over them, so nothing but the end of their validity lets them go.
 */
const RevokedSchema = z
  .record(DeviceIdSchema, z.array(PublicKeySchema).min(1))
  .describe("Identity keys that devices had before; the hub refuses every certificate over them");

/** Public half of a key that opens SealedSecrets. The private one is a secret of the region's stack. */
const SealingKeySchema = z.strictObject({
  for: z
    .string()
    .regex(/^(region|(model|device)\/[A-Za-z0-9._-]+)$/, "is none of region, model/<name> and device/<id>")
    .describe("Devices that get the private key: `region`, `model/<name>` or `device/<id>`"),
  certificate: z
    .string()
    .regex(/^-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n$/, "is not a PEM certificate")
    .describe("What is sealed with, as `kubeseal --cert` takes it too"),
});

/** `stacks/<region>.lock.yaml`. */
export const RegionLockSchema = z.strictObject({
  devices: z.record(DeviceIdSchema, LockedDeviceSchema).describe("By id, sorted"),
  revoked: RevokedSchema.optional(),
  sealing: z
    .array(SealingKeySchema)
    .optional()
    .describe("Keys for SealedSecrets, the newest first: the first of a scope seals, all of them open"),
});

/** Fields that the lock has of a device, and no other file. */
export const LOCK_FIELDS = Object.keys(LockedDeviceSchema.shape);

/** An entry of `<region>.lock.yaml`. */
export type LockedDevice = z.infer<typeof LockedDeviceSchema>;
/** Public half of a key that opens SealedSecrets. */
export type SealingKey = z.infer<typeof SealingKeySchema>;
/** Identity keys that are no longer any device's, by id. */
export type RevokedKeys = z.infer<typeof RevokedSchema>;
/** What enrollment has learnt about a device. */
export type DeviceFacts = z.infer<typeof FactsSchema>;
