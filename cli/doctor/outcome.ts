/**
 * What examining one device came to: findings, or why there are none. What a device says is checked like any other
 * foreign input.
 */
import { z } from "zod";
import type { SshFailure } from "../../components/device/failure.ts";
import type { Severity } from "../../components/plan/preflight.ts";
import { explainAnswer, type SshAnswer } from "../ssh/run.ts";
import { printable } from "../terminal.ts";

/** One problem of one device. */
export interface Finding {
  /** See docs/preflight.md; a device program of another release may print ids that are not there. */
  readonly id: string;
  readonly severity: Severity;
  /** What it is and what to do: `<what> - <fix>`. */
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

/** A device that could not be examined, and why. */
export interface UnexaminedOutcome extends SshFailure {
  readonly id: string;
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

/** Classifies one connection. */
export function classifyExamination(id: string, connection: SshAnswer): DoctorOutcome {
  const { exitCode, ended, stdout } = connection;
  const answer = exitCode === 0 && ended === undefined ? parseAnswer(stdout) : undefined;
  if (answer === undefined) return { id, ...explainAnswer(connection) };
  const findings = answer.findings.map((finding) => ({ ...finding, text: printable(finding.text, 500) }));
  return examined(id, printable(answer.hostName, 64), answer.machineId, findings);
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
