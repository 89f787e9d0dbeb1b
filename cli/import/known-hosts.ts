/** Host keys from a known_hosts file, looked up by `ssh-keygen -F`, which also reads hashed names. */
import { hostKeyAlgorithms } from "../../components/device/ssh.ts";
import { UsageError } from "../exit.ts";
import { mapBounded } from "../parallel.ts";
import { runProgram } from "../process.ts";

/** A host and the port of its SSH server; without a port it is 22. */
export interface KnownName {
  readonly host: string;
  /** Undefined: 22. */
  readonly port: number | undefined;
}

/** Lookups at a time. */
const LOOKUPS = 8;

/** Key types in the order in which they are preferred. */
const PREFERRED = hostKeyAlgorithms(undefined)
  .replace(/rsa-sha2-\d+/g, "ssh-rsa")
  .split(",");

/**
 * Looks up each host once.
 * @param file path of the known_hosts file
 * @returns `<type> <base64>` by host and port; hosts that the file does not know are missing
 * @throws UsageError when the file cannot be read
 */
export async function knownKeys(
  file: string,
  hosts: readonly KnownName[],
): Promise<(host: KnownName) => string | undefined> {
  const names = [...new Set(hosts.map(lookupName))];
  const keys = new Map<string, string | undefined>();
  const lookUp = async (name: string): Promise<void> => {
    const { exitCode, stdout, stderr } = await runProgram("ssh-keygen", ["-F", name, "-f", file], {
      timeoutMs: 10_000,
    });
    if (exitCode !== 0 && stderr.trim() !== "")
      throw new UsageError(`${file} cannot be read as a known_hosts file - correct --known-hosts`);
    keys.set(name, bestKey(stdout));
  };
  await mapBounded(names, LOOKUPS, lookUp);
  return (host) => keys.get(lookupName(host));
}

/** The name under which ssh keeps a host. */
function lookupName({ host, port }: KnownName): string {
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
