/** One SSH connection that asks the device program about copies, or for a restore. */
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { Profile } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { type RemoteCommand, type SshAnswer, withSsh } from "../ssh/run.ts";

/**
 * Runs the device program over the pinned connection.
 * @param words subcommand and its arguments, plain characters only; no secrets
 * @param options how the connection is bounded, and what is sent to the program
 * @throws UsageError when the device is not enrolled
 */
export async function askProgram(
  profile: Profile,
  words: readonly string[],
  options: Omit<RemoteCommand, "script">,
): Promise<SshAnswer> {
  const { id, region, hostKey } = profile;
  if (hostKey === undefined) throw new UsageError(`device ${id} is not enrolled - run edge-fleet enroll ${region}`);
  return withSsh((run) => run(profile, { script: programScript(words), ...options }));
}

/** The script. @throws Error when a word has a character that some shell would not take as it is */
export function programScript(words: readonly string[]): string {
  for (const word of words) if (!/^[A-Za-z0-9-]+$/.test(word)) throw new Error(`not a plain word: ${word}`);
  const command = `${PROGRAM_PATH} ${words.join(" ")}`;
  return `if [ "$(id -u)" -eq 0 ]; then exec ${command}; fi; exec sudo -n ${command}`;
}
