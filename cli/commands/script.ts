/** `edge-fleet script`: the apply script of one device, complete and readable, for review or for a run by hand. */
import type { Command } from "commander";
import { renderApplyScript } from "../../components/device/apply.ts";
import { resolveProfile } from "../../components/inventory/index.ts";
import { requireDevice } from "../require.ts";
import { inventoryOf, inventoryOption } from "./options.ts";

/** Registers the command. */
export function registerScript(program: Command): void {
  program
    .command("script")
    .description("print the self-contained apply script of a device")
    .argument("<device>", "id of the device")
    .addOption(inventoryOption())
    .action((device: string, options: { inventory: string }) => {
      const inventory = inventoryOf(options);
      requireDevice(inventory, device);
      const { text } = renderApplyScript(resolveProfile(inventory, device), inventory.artifacts);
      process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
    });
}
