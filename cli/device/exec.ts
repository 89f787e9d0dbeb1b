/** Runs one command on many devices, and tells a person what became of it on each. */
import type { SshFailure } from "../../components/device/failure.ts";
import { notEnrolled } from "../../components/device/result.ts";
import type { Profile } from "../../components/inventory/index.ts";
import { mapBounded } from "../parallel.ts";
import { explainAnswer, type SshAnswer, withSsh } from "../ssh/run.ts";
import { formatTable, printable } from "../terminal.ts";
import { plainLines } from "./lines.ts";

/** What is run, and how it is bounded. */
export interface ExecRequest {
  readonly profiles: readonly Profile[];
  /** For /bin/sh of the device. */
  readonly command: string;
  /** As root: over `sudo -n` where the log-in user is another. */
  readonly root: boolean;
  /** Connections at a time. */
  readonly parallel: number;
  /** Milliseconds per device. */
  readonly timeoutMs: number;
  /** Ends the connections. */
  readonly signal: AbortSignal;
}

/** What became of it on one device. */
export interface ExecOutcome {
  readonly id: string;
  /** `done`: the command ended with 0. `failed`: with another code, or the device failed. `pending`: not reached. */
  readonly state: "done" | "pending" | "failed";
  /** Short and stable; `exit` where the command ended with another code than 0; empty where all is well. */
  readonly code: string;
  /** Empty where all is well. */
  readonly reason: string;
  /** Of the command; null where it did not end. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Bytes taken of what one device writes, of stdout and of stderr each. */
const MAX_OUTPUT = 64 * 1024;

const SHELL = 'exec /bin/sh -c "$(cat)" </dev/null';
const ROOT_SHELL = `if [ "$(id -u)" -eq 0 ]; then ${SHELL}; fi; exec sudo -n /bin/sh -c "$(cat)" </dev/null`;

/**
 * Runs the command.
 * @param report called with each outcome as it comes
 * @returns one outcome per profile, in their order
 */
export async function runExec(request: ExecRequest, report: (outcome: ExecOutcome) => void): Promise<ExecOutcome[]> {
  const { profiles, command, root, parallel, timeoutMs, signal } = request;
  const known = new Map<string, ExecOutcome>();
  const note = (outcome: ExecOutcome): void => {
    known.set(outcome.id, outcome);
    report(outcome);
  };
  for (const { id, region, hostKey } of profiles)
    if (hostKey === undefined) note(without(id, { ...notEnrolled(region), state: "pending" }));
  const enrolled = profiles.filter(({ hostKey }) => hostKey !== undefined);
  await withSsh((run) => {
    const work = async (profile: Profile): Promise<void> => {
      // On stdin, so that it needs no quoting and stands in no list of processes here.
      const script = root ? ROOT_SHELL : SHELL;
      const answer = await run(profile, { script, stdin: command, timeoutMs, signal, maxOutputBytes: MAX_OUTPUT });
      note(classifyExec(profile.id, answer, timeoutMs));
    };
    return mapBounded(enrolled, parallel, work, signal);
  });
  const untried = { state: "pending", code: "interrupted", reason: "not tried: interrupted" } as const;
  return profiles.map(({ id }) => known.get(id) ?? without(id, untried));
}

/** Classifies one connection. */
export function classifyExec(id: string, answer: SshAnswer, timeoutMs: number): ExecOutcome {
  const { exitCode, stdout, stderr, loggedIn, ended } = answer;
  if (loggedIn && ended === "output") return { ...without(id, OVER), stdout, stderr };
  if (loggedIn && ended === "timeout") {
    const reason = `no end after ${Math.round(timeoutMs / 1000)} s: it may go on on the device - give it more --timeout`;
    return { ...without(id, { state: "failed", code: "timeout", reason }), stdout, stderr };
  }
  if (!loggedIn || exitCode === undefined || exitCode === 255)
    return { ...without(id, explainAnswer(answer)), stdout, stderr };
  const state = exitCode === 0 ? "done" : "failed";
  const why =
    exitCode === 0 ? { code: "", reason: "" } : { code: "exit", reason: `the command ended with ${exitCode}` };
  return { id, state, ...why, exitCode, stdout, stderr };
}

const OVER: SshFailure = {
  state: "failed",
  code: "output",
  reason: `it wrote over ${MAX_OUTPUT / 1024} KiB, and was ended - write into a file on the device`,
};

function without(id: string, { state, code, reason }: SshFailure): ExecOutcome {
  return { id, state, code, reason, exitCode: null, stdout: "", stderr: "" };
}

/** Numbers of outcomes by state. */
export function countExec(outcomes: readonly ExecOutcome[]): Readonly<Record<ExecOutcome["state"], number>> {
  const counts = { done: 0, pending: 0, failed: 0 };
  for (const { state } of outcomes) counts[state] += 1;
  return counts;
}

/** What one device wrote, each line behind its id; and why it did not do what was asked. */
export function formatExec({ id, state, code, reason, stdout, stderr }: ExecOutcome): string {
  const lines = [stdout, stderr].flatMap((text) => plainLines(text).split("\n")).filter((line) => line !== "");
  const end = state === "done" ? (lines.length === 0 ? ["done"] : []) : [`${state}: ${code}: ${printable(reason)}`];
  return [...lines, ...end].map((line) => `${id}: ${line}\n`).join("");
}

/** The devices on which it did not succeed, as a table, and the counts. */
export function summarizeExec(name: string, outcomes: readonly ExecOutcome[], colour: boolean): string {
  const { done, pending, failed } = countExec(outcomes);
  const rows = (["pending", "failed"] as const).flatMap((state) =>
    outcomes
      .filter((outcome) => outcome.state === state)
      .map(({ id, code, reason }) => {
        const shade = state === "failed" ? ("red" as const) : ("yellow" as const);
        return [id, { text: state, colour: shade }, code, printable(reason)];
      }),
  );
  const table = rows.length === 0 ? "" : formatTable(["DEVICE", "STATE", "CODE", "REASON"], rows, colour);
  return `${table}${name}: ${done} done, ${pending} pending, ${failed} failed\n`;
}
