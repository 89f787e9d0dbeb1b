/** `edge-fleet backup hub` and `restore-hub`: the Applications of a region's control plane, to a file and from it. */
import { readFileSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { controlPlaneNamespace } from "../../../components/gitops/labels.ts";
import { type ApiAccess, callApi } from "../../../components/hub/api.ts";
import { agentProfiles } from "../../../components/hub/principal/plan.ts";
import { PRINCIPAL } from "../../../components/hub/principal/settings.ts";
import { type Inventory, resolveRegion } from "../../../components/inventory/index.ts";
import {
  type HubBackup,
  PRINCIPAL_IDENTITY,
  parseHubBackup,
  planRestore,
  renderHubBackup,
  type SavedObject,
  type StoredObject,
} from "../../backup/hub.ts";
import { UsageError } from "../../exit.ts";
import { requireRegion } from "../../require.ts";
import { applicationPages, openKubeconfig } from "../../rollout/hub.ts";
import { inventoryOf, inventoryOption } from "../options.ts";

interface HubOptions {
  readonly inventory: string;
  readonly kubeconfig?: string;
}

const RESTORE_HELP = `
For a hub that was built anew or has lost its store, before pulumi up of the region: the principal waits for that, and devices
keep what they have. What is there already stays as it is. Run again it makes what is still missing. A device whose window is
closed gets the commit that the backup has; the others that of their ring.`;

/** Registers the commands. */
export function registerHub(group: Command): void {
  const add = (name: string, summary: string) =>
    group
      .command(name)
      .summary(summary)
      .description(summary)
      .argument("<region>", "name of the region")
      .argument("<file>", "the backup")
      .addOption(inventoryOption())
      .option("--kubeconfig <file>", "kubeconfig of the hub (default: $KUBECONFIG, else ~/.kube/config)");
  add("hub", "write the Applications of a region's control plane to a new file").action(save);
  add("restore-hub", "make the Applications of a backup that a region's control plane lacks")
    .addHelpText("after", RESTORE_HELP)
    .action(restore);
}

async function save(region: string, file: string, options: HubOptions): Promise<void> {
  requireRegion(inventoryOf(options), region);
  const access = await openKubeconfig(options.kubeconfig);
  const applications = await listAll(access, region);
  const backup = renderHubBackup(region, applications, await readIdentity(access, region));
  const count = backup.items.filter(({ kind }) => kind === "Application").length;
  if (count === 0)
    throw new UsageError(`region ${region} has no Applications on ${access.server} - nothing is written`);
  writeNew(file, `${JSON.stringify(backup, null, 2)}\n`);
  process.stdout.write(`${file}: ${count} Applications of ${region}\n`);
}

async function restore(region: string, file: string, options: HubOptions): Promise<void> {
  const inventory = inventoryOf(options);
  requireRegion(inventory, region);
  const { objects, leftOut } = planRestore(readBackup(file, region), agentsOf(inventory, region));
  const access = await openKubeconfig(options.kubeconfig);
  await requireStopped(access, region);
  let made = 0;
  for (const object of objects) if (await create(access, object)) made += 1;
  const there = new Set((await listAll(access, region)).map(({ metadata }) => metadata.name));
  const missing = objects.filter(({ kind, metadata }) => kind === "Application" && !there.has(metadata.name));
  if (missing.length > 0)
    throw new Error(`${missing.length} Applications are not there, e.g. ${missing[0]?.metadata.name} - run again`);
  const left = leftOut.length === 0 ? "" : `; left out, as their devices have no agent: ${leftOut.join(", ")}`;
  process.stdout.write(
    `${region}: ${made} made, ${objects.length - made} were there${left}\nNext: pulumi up --stack ${region}\n`,
  );
}

function agentsOf(inventory: Inventory, region: string): Set<string> {
  return new Set(agentProfiles(resolveRegion(inventory, region)).map(({ id }) => id));
}

async function listAll(access: ApiAccess, region: string): Promise<StoredObject[]> {
  const all: StoredObject[] = [];
  for await (const page of applicationPages<StoredObject>(access, controlPlaneNamespace(region))) all.push(...page);
  return all;
}

async function readIdentity(access: ApiAccess, region: string): Promise<StoredObject | undefined> {
  const path = `/api/v1/namespaces/${controlPlaneNamespace(region)}/configmaps/${PRINCIPAL_IDENTITY}`;
  const { status, text } = await callApi(access, { path });
  if (status === 404) return undefined;
  if (status === 200) return JSON.parse(text) as StoredObject;
  throw new UsageError(`${access.server}${path} answers ${status} - use a user that may read it`);
}

/** A principal that runs has told devices to drop what it did not find, and would give them half of it now. */
async function requireStopped(access: ApiAccess, region: string): Promise<void> {
  const namespace = controlPlaneNamespace(region);
  const selector = `app.kubernetes.io/name=${PRINCIPAL}`;
  const path = `/apis/apps/v1/namespaces/${namespace}/deployments?labelSelector=${encodeURIComponent(selector)}`;
  const { status, text } = await callApi(access, { path });
  if (status !== 200) throw new UsageError(`${access.server}${path} answers ${status} - use a user that may read it`);
  const { items } = JSON.parse(text) as { items: readonly (StoredObject & { status?: { readyReplicas?: number } })[] };
  const running = items.filter((deployment) => (deployment.status?.readyReplicas ?? 0) > 0);
  if (running.length === 0) return;
  const names = running.map(({ metadata }) => metadata.name).join(", ");
  throw new UsageError(
    `principals of region ${region} run: ${names} - stop them first: kubectl -n ${namespace} scale deployment -l ${selector} --replicas=0`,
  );
}

/** @returns false where it was there already */
async function create(access: ApiAccess, object: SavedObject): Promise<boolean> {
  const { kind, metadata } = object;
  const group = kind === "ConfigMap" ? "/api/v1" : "/apis/argoproj.io/v1alpha1";
  const path = `${group}/namespaces/${metadata.namespace}/${kind.toLowerCase()}s`;
  const { status } = await callApi(access, { path, method: "POST", body: object });
  if (status === 201) return true;
  if (status === 409) return false;
  if (status === 404)
    throw new UsageError(`${access.server} has no ${metadata.namespace} - run pulumi up on the hub's stack first`);
  throw new UsageError(`${kind} ${metadata.name}: ${access.server} answers ${status} - use a user that may make it`);
}

function readBackup(file: string, region: string): HubBackup {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message} - use a file of edge-fleet backup hub ${region}`);
  }
  return parseHubBackup(text, region, file);
}

/** For its owner alone, and never over a backup that is there. */
function writeNew(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message} - name a new file`);
  }
}
