/**
 * One connection's own known_hosts file: from a device and its pinned keys to an {@link SshConnection} that lasts as long
 * as its use. Nothing of it is left behind, and nothing of the user's own known hosts is read or written.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { jumpAlias, type SshConnection } from "./arguments.ts";
import { knownHostsText } from "./keys.ts";

/**
 * Strict against the pinned key; trust on first use where there is none.
 * @param pinned the device's host key, undefined to take the one that is offered
 * @param use what is done with the connection; the file is gone afterwards
 */
export async function withSshConnection<T>(
  profile: SshConnection["profile"],
  pinned: string | undefined,
  use: (connection: SshConnection) => Promise<T>,
): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "edge-fleet-ssh-"));
  try {
    const knownHosts = join(directory, "known_hosts");
    const keys = new Map<string, string>();
    if (pinned !== undefined) keys.set(profile.id, pinned);
    if (profile.ssh.proxy !== undefined) keys.set(jumpAlias(profile.id), profile.ssh.proxy.hostKey);
    writeFileSync(knownHosts, knownHostsText(keys), { mode: 0o600 });
    return await use({ profile, knownHosts, hostKeyChecking: pinned === undefined ? "accept-new" : "yes", pinned });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
