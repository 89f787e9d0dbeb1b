/**
 * A clock for devices of the lab that tests may set: the device program with a `date` of its own, which a file moves. A
 * function, since the commands of busybox are built into its shell and are not looked up on PATH.
 */
import assert from "node:assert/strict";
import type { DeviceProgram } from "../../../components/device/program.ts";
import { sha256 } from "./apply-device.ts";
import { PROGRAM } from "./quick-program.ts";
import type { Sandbox } from "./sandbox.ts";

const SHIFT = "/etc/edge-fleet-lab/clock";

const DATE = `date() {
  lab_shift=$(cat ${SHIFT} 2>/dev/null) || lab_shift=0
  case "$*" in
    +%s) echo "$(($(command date +%s) + lab_shift))" ;;
    *-d*) command date "$@" ;;
    *) command date -d "@$(($(command date +%s) + lab_shift))" "$@" ;;
  esac
}
`;

/** The lab's program with a clock that {@link setClock} sets. */
export const CLOCKED: DeviceProgram = clocked(PROGRAM.text);

function clocked(text: string): DeviceProgram {
  const parts = text.split("\nset -eu\n");
  assert.equal(parts.length, 2, "the program sets its options once");
  const moved = parts.join(`\nset -eu\n${DATE}`);
  return { text: moved, sha256: sha256(moved) };
}

/** Moves the clock of a device that has {@link CLOCKED} by this many seconds from the machine's; 0: it is right. */
export function setClock(sandbox: Sandbox, seconds: number): void {
  sandbox.write(SHIFT, `${seconds}\n`);
}
