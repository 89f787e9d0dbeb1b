/** `edge-fleet script`: what is applied to one device as one readable script, for review or for a run by hand. */
import type { Command } from "commander";
import { renderScript } from "../../components/device/script.ts";
import { resolveProfile, resolveRegion } from "../../components/inventory/index.ts";
import { deviceContexts } from "../../components/plan/contexts.ts";
import { placeholderSecrets } from "../../components/plan/distributions/k3s/secrets.ts";
import { renderPayload } from "../../components/plan/payload.ts";
import { requireDevice } from "../require.ts";
import { inventoryOf, inventoryOption } from "./options.ts";

/** Registers the command. */
export function registerScript(program: Command): void {
  program
    .command("script")
    .description("print all that is applied to a device as one script: the device program and the payload")
    .argument("<device>", "id of the device")
    .addOption(inventoryOption())
    .action((device: string, options: { inventory: string }) => {
      const inventory = inventoryOf(options);
      requireDevice(inventory, device);
      const profile = resolveProfile(inventory, device);
      const region = resolveRegion(inventory, profile.region);
      const joined = region.some(({ joins }) => joins === device);
      const context = deviceContexts(region, placeholderSecrets(profile, joined)).get(device);
      process.stdout.write(renderScript(device, renderPayload(profile, inventory.artifacts, context)));
    });
}
