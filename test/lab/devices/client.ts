/** The other end of a device's SSH port: the arguments of `ssh`, a pinned key, and what a bare dial finds. */
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { LabDevice } from "./types.ts";

/** The line that pins the device's current host key in a known_hosts file. */
export function knownHostsLine({ host, port, hostKey }: LabDevice): string {
  return `[${host}]:${port} ${hostKey}\n`;
}

/**
 * Arguments of `ssh` that read nobody's own configuration, accept only pinned host keys and give up after 2 s.
 * @param device where to log in as root
 * @param knownHosts file with the pinned keys
 * @param command what to run there
 */
export function sshArguments({ host, port }: LabDevice, knownHosts: string, ...command: readonly string[]): string[] {
  const options = [
    `UserKnownHostsFile=${knownHosts}`,
    ...["GlobalKnownHostsFile=/dev/null", "StrictHostKeyChecking=yes", "BatchMode=yes", "ConnectTimeout=2"],
  ].flatMap((option) => ["-o", option]);
  return ["-F", "/dev/null", ...options, "-p", `${port}`, `root@${host}`, ...command];
}

/**
 * Connects without SSH.
 * @param device whose port to dial
 * @param milliseconds how long to listen
 * @returns the first bytes that came, `connected` when none did, the error's code, or `no connection`
 */
export async function dial({ host, port }: LabDevice, milliseconds: number): Promise<string> {
  const socket = connect(port, host);
  let result = "no connection";
  socket.on("connect", () => {
    result = "connected";
  });
  socket.on("data", (bytes) => {
    result = bytes.toString();
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    result = error.code ?? error.message;
  });
  await Promise.race([sleep(milliseconds), once(socket, "close").catch(() => undefined)]);
  socket.destroy();
  return result;
}
