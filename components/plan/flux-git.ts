/**
 * The Secret by which Flux logs in to the fleet's Git repository, with the pinned host keys and authorities, and what
 * stands against it. Keys of the Secret: git/options.go and runtime/secrets of fluxcd/pkg v0.52 and v0.110. Pure.
 */

import { fluxGitSecretName } from "../gitops/engine/flux/settings.ts";
import { inFlux } from "../gitops/flux-objects.ts";
import { error, type Finding } from "./distributions/finding.ts";
import { type GitAccess, gitSecret } from "./git-access.ts";

/**
 * The Secret; none where the repository is public and the authority of its server well known.
 * @param place who needs it, for messages, e.g. `device edge-0001`
 * @throws Error naming the key and the fix, never the secret
 */
export function fluxGitSecret(
  access: GitAccess | undefined,
  place: string,
  secrets: Readonly<Record<string, string>> = {},
): object[] {
  const name = fluxGitSecretName(access);
  if (access === undefined || name === undefined) return [];
  const { ca } = access;
  return [
    {
      apiVersion: "v1",
      kind: "Secret",
      metadata: inFlux(name, { "app.kubernetes.io/part-of": "flux" }),
      stringData: {
        ...logInOf(access, gitSecret(access, place, secrets)),
        ...(ca === undefined ? {} : { "ca.crt": ca }),
      },
    },
  ];
}

function logInOf(access: GitAccess, secret: string): Record<string, string> {
  const { type, username, knownHosts = "", appId, installationId, apiUrl } = access;
  switch (type) {
    case "none":
      return {};
    case "https":
      return { username, password: secret };
    case "ssh":
      return { identity: secret, known_hosts: `${knownHosts.trimEnd()}\n` };
    case "githubApp":
      return {
        githubAppID: String(appId),
        githubAppInstallationID: String(installationId),
        githubAppPrivateKey: secret,
        ...(apiUrl === undefined ? {} : { githubAppBaseURL: apiUrl }),
      };
  }
}

/** What stands against Flux reading this URL: its GitRepository takes no others (pattern of `spec.url`). */
export function checkFluxUrl(url: string): Finding[] {
  return /^(https?|ssh):\/\//.test(url)
    ? []
    : [error("gitops.engine", `is flux, which reads no ${url} - write git.url as https:// or ssh://git@<host>/<path>`)];
}
