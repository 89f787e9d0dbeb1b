/** `edge-fleet backup`: the copies of a device's datastore, to be looked at and to be put back. */
import type { Command } from "commander";
import { registerList } from "./list.ts";
import { registerRestore } from "./restore.ts";

/** Registers the command and those below it. */
export function registerBackup(program: Command): void {
  const group = program.command("backup").description("list the copies of a device's datastore, or put one back");
  registerList(group);
  registerRestore(group);
}
