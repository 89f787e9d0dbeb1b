/**
 * What examining one device came to: from the end of its SSH connection to findings, or to why there are none. What a
 * device says is checked like any other foreign input.
 */
import { z } from "zod";
import type { Severity } from "../../components/plan/preflight.ts";
import type { RunResult } from "../process.ts";
import { classifyFailure, type SshFailure } from "../ssh/classify.ts";
import { fingerprintOf } from "../ssh/keys.ts";
import { printable } from "../terminal.ts";

/** One problem of one device. */
export interface Finding {
  /** See docs/preflight.md; a device program of another release may print ids that are not there. */
  readonly id: string;
  readonly severity: Severity;
  /** What it is and what to do: `<what> - <mend>`. */
  readonly text: string;
}

/** A device that answered. */
export interface ExaminedOutcome {
  readonly id: string;
  /** By its worst finding. */
  readonly state: "well" | "warnings" | "errors";
  /** Errors first. */
  readonly findings: readonly Finding[];
  /** Empty where the device does not tell. */
  readonly hostName: string;
  /** SHA-256 of /etc/machine-id in lower-case hex, as in the inventory's facts; empty where there is none. */
  readonly machineId: string;
}

/** A device that could not be examined. */
export interface UnexaminedOutcome {
  readonly id: string;
  /** `pending`: try again later. `refused`: a person has to look at it. */
  readonly state: "pending" | "refused";
  readonly reason: SshFailure["reason"];
  readonly message: string;
}

/** One device of a run. */
export type DoctorOutcome = ExaminedOutcome | UnexaminedOutcome;

const AnswerSchema = z.object({
  edgeFleetDoctor: z.literal(1),
  hostName: z.string().max(256),
  machineId: z.string().regex(/^([0-9a-f]{64})?$/),
  findings: z
    .array(
      z.object({
        id: z.string().regex(/^[a-z0-9][a-z0-9-]{0,63}$/),
        severity: z.enum(["error", "warning"]),
        text: z.string().max(2000),
      }),
    )
    .max(200),
});

/**
 * Judges one connection.
 * @param pinned the device's host key, where it has one
 * @param result how ssh ended
 */
export function judgeExamination(id: string, pinned: string | undefined, result: RunResult): DoctorOutcome {
  const answer = result.exitCode === 0 && result.ended === undefined ? parseAnswer(result.stdout) : undefined;
  if (answer !== undefined) {
    const findings = answer.findings.map((finding) => ({ ...finding, text: printable(finding.text, 500) }));
    return examined(id, printable(answer.hostName, 64), answer.machineId, findings);
  }
  const failure = classifyFailure(result);
  return { id, state: failure.state, reason: failure.reason, message: explain(id, pinned, failure) };
}

/** The outcome of a device with these findings. */
export function examined(
  id: string,
  hostName: string,
  machineId: string,
  findings: readonly Finding[],
): ExaminedOutcome {
  const errors = findings.filter(({ severity }) => severity === "error");
  const sorted = [...errors, ...findings.filter(({ severity }) => severity === "warning")];
  const state = errors.length > 0 ? "errors" : findings.length > 0 ? "warnings" : "well";
  return { id, state, findings: sorted, hostName, machineId };
}

/** The last line that is the preflight's answer: log-in shells may print lines of their own before. */
function parseAnswer(stdout: string): z.infer<typeof AnswerSchema> | undefined {
  const line = stdout.split("\n").findLast((text) => text.startsWith('{"edgeFleetDoctor":'));
  if (line === undefined) return undefined;
  try {
    return AnswerSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

function explain(id: string, pinned: string | undefined, failure: SshFailure): string {
  if (failure.reason !== "host-key-changed" || pinned === undefined) return failure.message;
  const offered = failure.offeredFingerprint ?? "unknown";
  return `host key changed: pinned ${fingerprintOf(pinned)}, offered ${offered} - if that is right: edge-fleet enroll <region> --accept-new-key ${id}`;
}
