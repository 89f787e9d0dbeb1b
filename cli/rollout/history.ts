/**
 * What a ring has run and since when, by the commits that changed its file: periods of one revision each, the revision
 * that a rollback goes to, and the time that a former revision has soaked.
 */

/** A commit that changed a ring's file. */
export interface RingCommit {
  /** Full SHA of the commit that changed the file. */
  readonly commit: string;
  /** Its committer date, in milliseconds since 1970: the author date survives a rebase and so may be far older. */
  readonly at: number;
  readonly author: string;
  readonly subject: string;
  /** What the file says from then on; undefined when the file is gone or is no ring file. */
  readonly revision: string | undefined;
}

/** A span of time in which a ring ran one revision. */
export interface RingPeriod {
  readonly revision: string;
  /** Milliseconds since 1970. */
  readonly since: number;
  /** Undefined for the period that still runs. */
  readonly until: number | undefined;
  /** The commit that began it. */
  readonly commit: string;
  readonly author: string;
}

/**
 * The periods of a ring, oldest first. Commits that leave the revision as it is, e.g. of another comment, begin none.
 * @param commits newest first, as `git log` has them
 */
export function ringPeriods(commits: readonly RingCommit[]): RingPeriod[] {
  const periods: RingPeriod[] = [];
  const end = (at: number): void => {
    const last = periods.pop();
    if (last !== undefined) periods.push({ ...last, until: last.until ?? at });
  };
  for (const { commit, at, author, revision } of commits.toReversed()) {
    const running = periods.at(-1);
    if (running?.until === undefined && running?.revision === revision) continue;
    end(at);
    if (revision !== undefined) periods.push({ revision, since: at, until: undefined, commit, author });
  }
  return periods;
}

/** What the ring runs now. */
export function currentPeriod(periods: readonly RingPeriod[]): RingPeriod | undefined {
  const last = periods.at(-1);
  return last?.until === undefined ? last : undefined;
}

/**
 * The revisions that a rollback can go back to, the nearest first. A ring that goes back to a revision which it has run
 * before, however that was done, has rolled back everything in between: none of that is in the list.
 */
export function earlierRevisions(periods: readonly RingPeriod[]): string[] {
  const kept: string[] = [];
  for (const { revision } of periods) {
    const position = kept.indexOf(revision);
    if (position >= 0) kept.length = position;
    kept.push(revision);
  }
  const running = currentPeriod(periods);
  return kept.reverse().slice(running === undefined ? 0 : 1);
}

/**
 * How long a ring ran a revision without a break before it went on to another one, in milliseconds: the longest of those
 * periods. What it runs now is not among them: of that its devices tell.
 * @returns undefined when it has never run it, or only runs it now
 */
export function soakedBefore(periods: readonly RingPeriod[], revision: string): number | undefined {
  const spans = periods.flatMap(({ revision: ran, since, until }) =>
    ran === revision && until !== undefined ? [until - since] : [],
  );
  return spans.length === 0 ? undefined : Math.max(...spans);
}
