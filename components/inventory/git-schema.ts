/** How the engine of a device, and the hub, log in to the fleet's Git repository. What is secret is in the stack's configuration. */
import { z } from "zod";

/** A line of a known_hosts file: names, type and key, without a marker or a hash. */
const KNOWN_HOST = /^[^\s|@#]\S* (ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}( .*)?$/;

/** Access to the Git repository. */
export const GitAccessSchema = z
  .strictObject({
    type: z
      .enum(["none", "https", "ssh", "githubApp"])
      .default("none")
      .describe(
        "none: the repository is public. https: a password or an access token, the secret `git-password`. ssh: a deploy key, the secret `git-ssh-key`. githubApp: an app's private key, the secret `git-github-app-key`",
      ),
    username: z
      .string()
      .min(1)
      .default("edge-fleet")
      .describe("User of `https`; most servers take any beside an access token"),
    appId: z.int().positive().optional().describe("Id of the GitHub App"),
    installationId: z.int().positive().optional().describe("Id of its installation in the organisation"),
    apiUrl: z
      .url({ protocol: /^https$/, error: "is not an https URL - write e.g. https://github.example.com/api/v3" })
      .optional()
      .describe("API of a GitHub Enterprise server. Default: that of github.com"),
    knownHosts: z
      .string()
      .refine(
        (text) =>
          text
            .trimEnd()
            .split("\n")
            .every((line) => KNOWN_HOST.test(line)),
        "is no list of host keys - write the lines of ssh-keyscan, without its comments (`knownHosts: |`)",
      )
      .optional()
      .describe("Pinned host keys of the Git server, as lines of a known_hosts file; `ssh` needs them"),
    ca: z
      .string()
      .regex(
        /^(-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+\n-----END CERTIFICATE-----\n?)+$/,
        "is not a PEM certificate - write it as a block (`ca: |`)",
      )
      .optional()
      .describe("Certificates of the private authorities that the Git server's is of. Default: those of the system"),
  })
  .describe(
    "How the device logs in to the Git repository: `pulumi config set --secret edge-fleet:<secret>` in the region's stack, and in the hub's for its own. Default: the repository is public",
  );
