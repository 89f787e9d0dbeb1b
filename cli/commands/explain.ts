/** `edge-fleet explain`: each resolved setting of a device with the layer that it comes from, and what stands against them. */
import { type Command, Option } from "commander";
import { agentOf, isMoved } from "../../components/gitops/engine/agent/settings.ts";
import { explainDevice, type Inventory, resolveProfile, resolveRegion } from "../../components/inventory/index.ts";
import { planFindings } from "../../components/plan/findings.ts";
import { devicePulls } from "../explain/pulls.ts";
import { deviceScript } from "../explain/script.ts";
import { requireDevice } from "../require.ts";
import { fingerprintOf } from "../ssh/keys.ts";
import { formatTable, usesColour } from "../terminal.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson } from "./options.ts";
import { treeOption } from "./tree-option.ts";

interface ExplainOptions {
  readonly inventory: string;
  readonly tree: string;
  readonly script?: true;
  readonly pulls?: true;
  readonly json?: true;
}

const HELP = `
--script is for review, or for a run by hand: secrets are placeholders in it. --pulls shows with gitops.engine argocd and
flux what up brings to the device and what its entry in Git makes of it, and with argocd-agent the Applications that the
hub's ApplicationSets make.`;

/** Registers the command. */
export function registerExplain(program: Command): void {
  program
    .command("explain")
    .description("show each resolved setting of a device and the layer that it comes from, or what comes of them")
    .argument("<device>", "id of the device")
    .addOption(new Option("--script", "all that is applied to it as one script").conflicts(["pulls", "json"]))
    .addOption(new Option("--pulls", "what its pull engine takes at the commit of its ring, as YAML").conflicts("json"))
    .addOption(inventoryOption())
    .addOption(treeOption())
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action((device: string, options: ExplainOptions) => explain(device, options));
}

function explain(device: string, options: ExplainOptions): void {
  const inventory = inventoryOf(options);
  requireDevice(inventory, device);
  if (options.script) process.stdout.write(deviceScript(inventory, device));
  else if (options.pulls) {
    const { text, nothing } = devicePulls(inventory, device, options.tree);
    if (nothing !== "") process.stderr.write(`${nothing}\n`);
    process.stdout.write(text);
  } else explainSettings(inventory, device, options);
}

function explainSettings(inventory: Inventory, device: string, options: ExplainOptions): void {
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
  if (isMoved(profile)) {
    const { version, address, port } = agentOf(profile) ?? {};
    process.stdout.write(
      `argocd-agent ${version} at ${address}:${port}, as gitops.agent.next.rings has ${profile.ring}\n`,
    );
  }
  const rows = settings.map(({ path, value, layer }) => [
    path,
    typeof value === "string" ? value : JSON.stringify(value),
    layer,
  ]);
  process.stdout.write(formatTable(["SETTING", "VALUE", "FROM"], rows, usesColour(process.stdout)));
  for (const line of errors) process.stderr.write(`error: ${line}\n`);
  for (const line of warnings) process.stderr.write(`warning: ${line}\n`);
}
