/** Host keys of jump hosts from a known_hosts file, looked up by `ssh-keygen -F`, which also reads hashed names. */
import { hostKeyAlgorithms } from "../../components/device/ssh.ts";
import { UsageError } from "../exit.ts";
import { runProgram } from "../process.ts";

import type { SourceProxy } from "./host.ts";

/** Key types in the order in which they are preferred. */
const PREFERRED = hostKeyAlgorithms(undefined)
  .replace(/rsa-sha2-\d+/g, "ssh-rsa")
  .split(",");

/**
 * Looks up each jump host once.
 * @param file path of the known_hosts file
 * @returns `<type> <base64>` by host and port; hosts that the file does not know are missing
 * @throws UsageError when the file cannot be read
 */
export async function knownProxyKeys(
  file: string,
  proxies: readonly SourceProxy[],
): Promise<(proxy: SourceProxy) => string | undefined> {
  const names = new Set(proxies.map(lookupName));
  const keys = new Map<string, string | undefined>();
  for (const name of names) {
    const { exitCode, stdout, stderr } = await runProgram("ssh-keygen", ["-F", name, "-f", file], {
      timeoutMs: 10_000,
    });
    if (exitCode !== 0 && stderr.trim() !== "")
      throw new UsageError(`${file} cannot be read as a known_hosts file - correct --known-hosts`);
    keys.set(name, bestKey(stdout));
  }
  return (proxy) => keys.get(lookupName(proxy));
}

/** The name under which ssh keeps a host. */
function lookupName({ host, port }: SourceProxy): string {
  return port === undefined || port === 22 ? host : `[${host}]:${port}`;
}

/** The preferred key of the lines that ssh-keygen found; revoked keys and certificate authorities are none. */
export function bestKey(found: string): string | undefined {
  const keys = found.split("\n").flatMap((line) => {
    if (/^[#@]/.test(line)) return [];
    const [, type = "", blob = ""] = line.trim().split(/\s+/);
    return PREFERRED.includes(type) && /^[A-Za-z0-9+/]+={0,2}$/.test(blob) ? [{ type, key: `${type} ${blob}` }] : [];
  });
  return keys.sort((a, b) => PREFERRED.indexOf(a.type) - PREFERRED.indexOf(b.type))[0]?.key;
}
