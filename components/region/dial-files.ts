/** What the dials of a run work from: their folder, and the artifacts that they send. */
import * as pulumi from "@pulumi/pulumi";
import { openDialFolder, writeDialFiles, writeResult } from "../device/folder.ts";
import { deviceProgram } from "../device/program.ts";
import { targetOf } from "../device/ssh.ts";
import { supplyArtifacts } from "../device/supply.ts";
import type { Inventory } from "../inventory/index.ts";
import { joinedServers } from "../plan/contexts.ts";
import type { DeviceRun } from "./plan.ts";

/** Writes what the dials of a run need. */
export async function writeRuns(runs: readonly DeviceRun[], { directory }: Inventory): Promise<void> {
  const folders = openDialFolder(pulumi.getStack(), deviceProgram());
  const servers = joinedServers(runs.map(({ profile }) => profile));
  for (const { id, profile, plan, previous, dial, held } of runs) {
    const payload = dial?.changed === true ? plan?.payload : undefined;
    writeDialFiles(folders, { target: targetOf(profile), held: held?.reason, payload });
    if (servers.has(id)) writeResult(folders, id, held === undefined ? (previous?.outcome?.state ?? "new") : "held");
  }
  const dialled = runs.filter(({ dial, held }) => dial?.changed === true && held === undefined);
  await supplyArtifacts(
    dialled.flatMap(({ plan }) => plan?.pushed ?? []),
    directory,
  );
}
