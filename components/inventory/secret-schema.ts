/**
 * The settings that name a secret of the stack's configuration: registries and backups. A secret itself is never written in
 * the inventory.
 */
import { z } from "zod";

/** Name of a secret in the stack's configuration. */
const SecretKeySchema = z.string().regex(/^[A-Za-z][A-Za-z0-9_-]*$/, "is not a key of the stack's configuration");

/** Where images of one registry come from first. */
export const RegistrySchema = z.strictObject({
  endpoints: z
    .array(z.url({ protocol: /^https?$/, error: "is not an http(s) URL" }))
    .min(1)
    .describe("Mirrors in the order in which they are tried; the registry itself comes last"),
  username: z.string().min(1).optional().describe("User at the host of the first endpoint"),
  passwordSecret: SecretKeySchema.optional().describe(
    "Key of the Pulumi secret that holds the password: `pulumi config set --secret edge-fleet:<key>`",
  ),
});

const BackupPushSchema = z
  .strictObject({
    url: z
      .url({ protocol: /^https$/, error: "is not an https URL - write e.g. https://backups.example.com/edge" })
      .describe("Folder to which a device puts its copies: `<url>/<region>/<device>/<time>.tar.gz.cms`, with HTTP PUT"),
    recipient: z
      .string()
      .regex(
        /^-----BEGIN CERTIFICATE-----\n[\s\S]+\n-----END CERTIFICATE-----\n?$/,
        "is not a PEM certificate - make one with openssl req -x509 and write it as a block (`recipient: |`)",
      )
      .describe(
        "Certificate whose key alone can read the copies (CMS, RFC 5652): a copy holds the cluster's token and Secrets, and no device can read what it has sent",
      ),
    username: z
      .string()
      .min(1)
      .optional()
      .describe("User, or access key with s3Region. Default: a bearer token is sent"),
    passwordSecret: SecretKeySchema.optional().describe(
      "Key of the Pulumi secret that holds password, token or secret key: `pulumi config set --secret edge-fleet:<key>`. Default: no log-in",
    ),
    s3Region: z
      .string()
      .regex(/^[a-z0-9-]+$/, "is not a region - write e.g. eu-central-1")
      .optional()
      .describe("Signs for an S3 bucket in this region (AWS signature 4). Default: plain HTTP authentication"),
  })
  .describe("Sends each copy away, encrypted. Default: copies stay on the device");

/** Copies of the datastore: how often, how many, and where else they go. */
export const BackupSchema = z
  .strictObject({
    everyHours: z.int().min(1).max(168).default(24).describe("Hours between two copies of the datastore"),
    keep: z.int().min(0).max(30).default(3).describe("Copies kept on the device; 0 turns the backup off"),
    push: BackupPushSchema.optional(),
  })
  .prefault({})
  .describe("On-line copies of the datastore and its token under /var/lib/edge-fleet/backups");
