/** The files of a new fleet's inventory, with comments that teach. Pure. */
import { stringify } from "yaml";
import { ARGO_CD_RELEASE } from "../../components/inventory/gitops-schema.ts";
import { appendCsv } from "../inventory-edit/append.ts";
import { type Answers, fitsArgoCd } from "./answers.ts";
import type { DeviceRow } from "./devices.ts";

/**
 * Texts by file name in the inventory's folder.
 * @param tree folder of the GitOps tree inside the repository
 * @param schemas folder of the JSON Schemas as seen from the files, for editors
 */
export function inventoryTexts(
  answers: Answers,
  devices: ReadonlyMap<string, readonly DeviceRow[]>,
  tree: string,
  schemas: string,
): Map<string, string> {
  const files = new Map<string, string>();
  files.set("fleet.yaml", fleetText(answers, tree, schemas));
  files.set("models.yaml", modelsText(answers, schemas));
  for (const [region, rows] of devices) {
    files.set(`${region}.yaml`, regionText(region, answers, rows.length > 0, schemas));
    if (rows.length > 0) files.set(`${region}.csv`, appendCsv("", rows));
  }
  return files;
}

/** First line of a file, for editors. */
function schemaLine(schemas: string, name: string): string {
  return `# yaml-language-server: $schema=${schemas}/${name}.schema.json\n`;
}

/** A value on one line, quoted where YAML needs it. */
function scalar(value: string): string {
  return stringify(value, { lineWidth: 0 }).trimEnd();
}

function fleetText({ name, gitUrl, distribution, release, user }: Answers, tree: string, schemas: string): string {
  return `${schemaLine(schemas, "fleet")}# The whole fleet: what holds for every device unless its model, its region or the device itself says otherwise.
# Every field is explained in node_modules/edge-fleet/docs/inventory.md; \`edge-fleet explain <device>\` shows where each value comes from.
fleet: ${scalar(name)}

git:
  # The repository that holds the folder ${tree}/, as the devices reach it. No password here: it would be public.
  url: ${scalar(gitUrl)}
  branch: main
  path: ${tree}

# A change passes through the rings in this order: \`edge-fleet promote canary --to HEAD\`, then early, then broad.
rings: [canary, early, broad]

hub:
  # The Pulumi stack that installs the hub.
  stack: hub
  argocd:
    version: ${ARGO_CD_RELEASE}

# From here on: settings, the lowest of the four layers.
ring: broad
distribution: ${distribution}
${distribution}:
  # An upgrade is a change of this line: try it on one device or model first. \`edge-fleet lock\` pins its bytes.
  version: ${release}
ssh:
  # root, or a user with password-less sudo. The key comes from your SSH agent and stands nowhere.
  user: ${scalar(user)}
`;
}

function modelsText({ model, architecture, memory }: Answers, schemas: string): string {
  const engine = fitsArgoCd(memory)
    ? ""
    : `  gitops:
    # Argo CD leaves workloads no room beside Kubernetes in this memory, so nothing pulls them.
    engine: none
`;
  return `${schemaLine(schemas, "models")}# Hardware classes. A setting here wins over fleet.yaml; memory decides what the kubelet keeps back.
${model}:
  architecture: ${architecture}
  memory: ${memory}
${engine}
# Another class, with a setting of its own:
# kiosk-8g:
#   architecture: amd64
#   memory: 8Gi
#   wasm: [spin]
`;
}

function regionText(region: string, { model, hostPattern }: Answers, listed: boolean, schemas: string): string {
  const example = hostPattern
    .replaceAll("{region}", region)
    .replace(/\{n(?::0(\d))?\}/g, (_, width?: string) => "1".padStart(Number(width ?? 0), "0"));
  const devices = listed
    ? `# id, host, model and ring of each device; further columns are named by the field's path, e.g. ssh.port, labels.site.
devicesFrom: ${region}.csv
`
    : `# Take the # away and write your own; many devices fit better into a CSV file: devicesFrom: ${region}.csv
# devices:
#   - id: ${region}-0001
#     host: ${example}
#     model: ${model}
#     ring: canary
#     labels:
#       site: main-street
`;
  return `${schemaLine(schemas, "region")}# One region is one Pulumi stack and one control plane on the hub. \`edge-fleet enroll ${region}\` pins the devices' keys.
region: ${region}

# A setting here wins over fleet.yaml and models.yaml, e.g. a jump host for the whole region:
# ssh:
#   proxy:
#     host: jump.${region}.example.com
#     hostKey: ssh-ed25519 AAAA…

${devices}`;
}

/** Text of `Pulumi.<stack>.yaml`. */
export function stackText(stack: string): string {
  return `# Configuration of the stack ${stack}: \`pulumi config set edge-fleet:<key> <value> --stack ${stack}\`. Keys: Pulumi.yaml.\nconfig: {}\n`;
}
