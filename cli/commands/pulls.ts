/** `edge-fleet pulls`: the objects by which the pull engine of one device knows what to run. */
import type { Command } from "commander";
import { formatObjects, treeInput } from "../../components/gitops/index.ts";
import { readPins } from "../../components/gitops/rings.ts";
import { resolveFleet } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { renderPull } from "../pulls/pull.ts";
import { requireDevice } from "../require.ts";
import { inventoryOf, inventoryOption } from "./options.ts";
import { treeOption } from "./tree-option.ts";

const HELP = `
With gitops.engine argocd-agent these are the Applications that the hub's ApplicationSets make: for a look. With argocd
and flux they go into the device's own cluster, where you have installed the engine, and again after each promotion:
  edge-fleet pulls <device> | ssh <host> k3s kubectl apply -f -`;

/** Registers the command. */
export function registerPulls(program: Command): void {
  program
    .command("pulls")
    .description("print what the pull engine of a device takes: Applications of Argo CD, or the objects of Flux")
    .argument("<device>", "id of the device")
    .addOption(inventoryOption())
    .addOption(treeOption())
    .addHelpText("after", HELP)
    .action((device: string, options: { inventory: string; tree: string }) => pulls(device, options));
}

function pulls(id: string, options: { readonly inventory: string; readonly tree: string }): void {
  const inventory = inventoryOf(options);
  requireDevice(inventory, id);
  const input = treeInput(inventory, resolveFleet(inventory));
  const device = input.devices.find((candidate) => candidate.id === id);
  if (device === undefined)
    throw new UsageError(`device ${id} is a node of another one's cluster and pulls nothing - use the device it joins`);
  const { where, objects, deployed } = renderPull(device, input, readPins(options.tree, input.workloads));
  if (deployed.length === 0)
    process.stderr.write(
      `ring ${device.ring} pins no commit: ${id} pulls nothing - use edge-fleet promote ${device.ring}\n`,
    );
  if (objects.length > 0)
    process.stdout.write(formatObjects([`What ${id} pulls with ${device.engine}: ${where}.`], objects));
}
