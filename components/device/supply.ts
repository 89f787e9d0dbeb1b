/**
 * Brings the artifacts that dials send to the project's folder, fetched and checked, or made, once for all devices.
 */
import { copyFileSync, existsSync, linkSync } from "node:fs";
import { join, resolve } from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { besideArtifact, cachedArtifact } from "../artifacts/cache.ts";
import { replaceFile } from "../gitops/disk.ts";
import type { ResolvedArtifact } from "../plan/artifact.ts";
import { ARTIFACTS_FOLDER } from "./folder.ts";

/**
 * Fetches what is not there. What cannot be had is told, and the devices that need it fail alone.
 * @param inventory folder of the inventory, which holds what is locked by path
 */
export async function supplyArtifacts(artifacts: readonly ResolvedArtifact[], inventory: string): Promise<void> {
  const folder = resolve(ARTIFACTS_FOLDER);
  const wanted = new Map(artifacts.map((artifact) => [artifact.sha256, artifact]));
  for (const artifact of wanted.values()) {
    const target = join(folder, artifact.sha256);
    if (artifact.content === undefined && !existsSync(target))
      await pulumi.log.info(`fetching ${artifact.name}`, undefined, undefined, true);
    try {
      if (artifact.content !== undefined) replaceFile(target, artifact.content, `${target}.${process.pid}.tmp`);
      else if (artifact.local) copyOnce((await besideArtifact(inventory, artifact)).path, target);
      else await cachedArtifact(folder, artifact);
    } catch (error) {
      await pulumi.log.warn(`artifact ${artifact.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

function copyOnce(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    copyFileSync(from, to);
  }
}
