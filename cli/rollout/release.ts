/**
 * Which release a commit deploys. A commit that only adds new leaves to a ring deploys the release that it was put on, so
 * it has soaked as long, and a rollback goes past it.
 */
import { type Repository, runGit } from "./git.ts";
import type { RingPeriod } from "./history.ts";

/** Full SHA of the release of a commit: that of its trailer `Release`, else the commit itself. */
export async function releaseOf({ folder }: Repository, commit: string): Promise<string> {
  const format = "--format=%(trailers:key=Release,valueonly)";
  const { stdout } = await runGit(folder, ["log", "-1", format, commit]);
  const [release = ""] = stdout.trim().split("\n");
  return /^[0-9a-f]{40}$/.test(release) ? release : commit;
}

/** The periods of a ring by release: neighbours of one release are one period, which the first of them began. */
export async function byRelease(repository: Repository, periods: readonly RingPeriod[]): Promise<RingPeriod[]> {
  const merged: RingPeriod[] = [];
  for (const period of periods) {
    const revision = await releaseOf(repository, period.revision);
    const last = merged.at(-1);
    if (last?.revision === revision && last.until === period.since)
      merged[merged.length - 1] = { ...last, until: period.until };
    else merged.push({ ...period, revision });
  }
  return merged;
}
