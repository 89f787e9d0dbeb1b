/**
 * The script that enrols one device: `enroll.sh` behind a head that carries the device program and names the SSH user to
 * whom the program is to be allowed. Pure but for reading that file.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type DeviceProgram, deviceProgram, packText } from "../../components/device/program.ts";
import { UsageError } from "../exit.ts";

const ENROLL_SCRIPT = join(import.meta.dirname, "enroll.sh");

/** User names that need no quoting in a shell, and that are no alias (in capitals) in sudoers. */
const PLAIN_USER = /^[a-z_][A-Za-z0-9._-]*$/;

/**
 * The complete script.
 * @param user `ssh.user` of the device
 * @throws UsageError for a user name that sudoers would not take as it is
 */
export function enrollScript(user: string, program: DeviceProgram = deviceProgram()): string {
  if (!PLAIN_USER.test(user))
    throw new UsageError(
      `ssh.user ${JSON.stringify(user)} is not a plain user name - use a small letter, then letters, digits and ._-`,
    );
  return [
    `PROGRAM_SHA256=${program.sha256}`,
    `SSH_USER=${user}`,
    "packed_program() {",
    "cat <<'EDGE_FLEET_END'",
    packText(program.text),
    "EDGE_FLEET_END",
    "}",
    readFileSync(ENROLL_SCRIPT, "utf8"),
  ].join("\n");
}
