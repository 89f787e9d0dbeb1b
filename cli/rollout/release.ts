/**
 * Which release a commit deploys. A commit that only adds new leaves to a ring deploys the release that it was put on, so
 * it has soaked as long, and a rollback goes past it.
 */
import { type Repository, runGit } from "./git.ts";
import type { RingStretch } from "./history.ts";

/** Full SHA of the release of a commit: that of its trailer `Release`, else the commit itself. */
export async function releaseOf({ folder }: Repository, commit: string): Promise<string> {
  const format = "--format=%(trailers:key=Release,valueonly)";
  const { stdout } = await runGit(folder, ["log", "-1", format, commit]);
  const [release = ""] = stdout.trim().split("\n");
  return /^[0-9a-f]{40}$/.test(release) ? release : commit;
}

/** The stretches of a ring by release: neighbours of one release are one stretch, which the first of them began. */
export async function byRelease(repository: Repository, stretches: readonly RingStretch[]): Promise<RingStretch[]> {
  const merged: RingStretch[] = [];
  for (const stretch of stretches) {
    const revision = await releaseOf(repository, stretch.revision);
    const last = merged.at(-1);
    if (last?.revision === revision && last.until === stretch.since)
      merged[merged.length - 1] = { ...last, until: stretch.until };
    else merged.push({ ...stretch, revision });
  }
  return merged;
}
