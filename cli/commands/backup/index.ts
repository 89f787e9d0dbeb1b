/** `edge-fleet backup`: the copies of a device's datastore and of a hub's Applications, to be looked at and to be put back. */
import type { Command } from "commander";
import { registerHub } from "./hub.ts";
import { registerList } from "./list.ts";
import { registerRestore } from "./restore.ts";

/** Registers the command and those below it. */
export function registerBackup(program: Command): void {
  const group = program
    .command("backup")
    .description("copies of a device's datastore and of a hub's Applications, and how to put them back");
  registerList(group);
  registerRestore(group);
  registerHub(group);
}
