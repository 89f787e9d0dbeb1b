/** What a device says of itself, as its program prints it. */

type Fields = Readonly<Record<string, string>>;

const APPLICATION: Fields = {
  ...{
    targetRevision: "a".repeat(40),
    revision: "a".repeat(40),
    sync: "Synced",
    health: "Healthy",
    phase: "Succeeded",
  },
  ...{ since: "2026-05-01T09:00:00Z", observedAt: "2026-05-01T11:55:00Z" },
};

/** How an answer differs from that of a device that is well. */
export interface AnswerChange {
  readonly device?: string;
  readonly time?: string;
  readonly engineState?: string;
  /** Fields of the Application `workloads`. */
  readonly app?: Fields;
  /** Further Applications, well but for these fields. */
  readonly more?: readonly Fields[];
  /** Instead of all. */
  readonly apps?: readonly Fields[];
}

/** The line. */
export function answerLine({ app, more = [], apps, ...change }: AnswerChange): string {
  const own = [
    { ...APPLICATION, name: "edge-root" },
    { ...APPLICATION, name: "workloads", ...app },
  ];
  const applications = apps ?? [...own, ...more.map((fields) => ({ ...APPLICATION, name: "more", ...fields }))];
  const device = { device: "a", time: "2026-05-01T12:00:00Z", release: "v1.36.2+k3s1", engine: "argocd" };
  return JSON.stringify({ ...device, engineState: "ready", ...change, applications });
}
