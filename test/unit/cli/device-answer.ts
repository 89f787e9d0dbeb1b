/** What a device says of itself, as its program prints it: program/status.sh. */

type Fields = Readonly<Record<string, string>>;

const APPLICATION: Fields = {
  ...{ targetRevision: "a".repeat(40), revision: "a".repeat(40), sync: "Synced" },
  ...{ health: "Healthy", healthSince: "2026-05-01T09:00:00Z" },
  ...{ deployedRevision: "a".repeat(40), deployedAt: "2026-05-01T08:59:00Z" },
  ...{ phase: "Succeeded", finishedAt: "2026-05-01T08:59:00Z", reconciledAt: "2026-05-01T11:55:00Z", conditions: "" },
};

/** How an answer differs from that of a device that is well. */
export interface AnswerChange {
  readonly device?: string;
  readonly at?: string;
  readonly release?: string;
  readonly api?: boolean;
  readonly engine?: string;
  readonly state?: string;
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
  const device = { edgeFleetStatus: 1, device: "a", at: "2026-05-01T12:00:00Z", distribution: "k3s" };
  const cluster = { release: "v1.36.2+k3s1", api: true, engine: "argocd", state: "ready" };
  return JSON.stringify({ ...device, ...cluster, ...change, applications });
}
