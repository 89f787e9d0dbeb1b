/** The script that tells the logs of a device that were asked for. Pure. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FLUX_NAMESPACE } from "../../components/gitops/engine/flux/settings.ts";
import { ARGO_CD_NAMESPACE } from "../../components/gitops/labels.ts";
import type { Profile } from "../../components/inventory/index.ts";

/** Whose logs there are: runs of edge-fleet, the Kubernetes service, the pull engine. */
export const LOG_SOURCES = ["apply", "unit", "engine"] as const;

/** One of {@link LOG_SOURCES}. */
export type LogSource = (typeof LOG_SOURCES)[number];

/** What is asked for. */
export interface LogRequest {
  /** In the order in which they are told. */
  readonly sources: readonly LogSource[];
  /** Newest lines of each. */
  readonly lines: number;
  /** Go on with lines as they come. */
  readonly follow: boolean;
  readonly engine: Profile["gitops"]["engine"];
}

/** The script, for a shell's stdin. */
export function logScript({ sources, lines, follow, engine }: LogRequest): string {
  const namespace = engine === "flux" ? FLUX_NAMESPACE : ARGO_CD_NAMESPACE;
  const settings = `SOURCES='${sources.join(" ")}' LINES=${lines} FOLLOW=${follow ? 1 : 0} NAMESPACE=${namespace}\n`;
  return settings + readFileSync(join(import.meta.dirname, "logs.sh"), "utf8");
}
