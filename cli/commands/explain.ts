/** `edge-fleet explain`: each resolved setting of a device with the layer that it comes from, and what stands against them. */
import type { Command } from "commander";
import { explainDevice, resolveProfile, resolveRegion } from "../../components/inventory/index.ts";
import { planFindings } from "../../components/plan/findings.ts";
import { requireDevice } from "../require.ts";
import { fingerprintOf } from "../ssh/keys.ts";
import { formatTable, usesColour } from "../terminal.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson } from "./options.ts";

/** Registers the command. */
export function registerExplain(program: Command): void {
  program
    .command("explain")
    .description("show each resolved setting of a device and the layer that it comes from")
    .argument("<device>", "id of the device")
    .addOption(inventoryOption())
    .addOption(jsonOption())
    .action((device: string, options: { inventory: string; json?: true }) => explain(device, options));
}

function explain(device: string, options: { readonly inventory: string; readonly json?: true }): void {
  const inventory = inventoryOf(options);
  requireDevice(inventory, device);
  const profile = resolveProfile(inventory, device);
  const settings = explainDevice(inventory, device);
  const { errors, warnings } = planFindings(
    inventory,
    resolveRegion(inventory, profile.region),
    ({ id }) => id === device,
  );
  if (options.json) {
    printJson({ device, region: profile.region, model: profile.model, settings, errors, warnings });
    return;
  }
  const hostKey = profile.hostKey === undefined ? "not enrolled" : fingerprintOf(profile.hostKey);
  const place = `region ${profile.region}, model ${profile.model} (${profile.architecture}, ${profile.memoryMiB} MiB)`;
  process.stdout.write(`${device}: ${place}, host ${profile.host}, host key ${hostKey}\n`);
  const rows = settings.map(({ path, value, layer }) => [
    path,
    typeof value === "string" ? value : JSON.stringify(value),
    layer,
  ]);
  process.stdout.write(formatTable(["SETTING", "VALUE", "FROM"], rows, usesColour(process.stdout)));
  for (const line of errors) process.stderr.write(`error: ${line}\n`);
  for (const line of warnings) process.stderr.write(`warning: ${line}\n`);
}
