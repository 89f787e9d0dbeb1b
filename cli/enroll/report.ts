/** What an enroll run says: a table with fingerprints, a summary, the next step and an exit code. */
import { type ExitCode, exitCodeOf } from "../exit.ts";
import { type Cell, formatTable } from "../terminal.ts";
import type { EnrolledOutcome, Outcome } from "./outcome.ts";
import type { EnrollResult } from "./run.ts";

const COLOURS = { enrolled: "green", already: "dim", pending: "yellow", failed: "red" } as const;
const ORDER = ["already", "enrolled", "pending", "failed"] as const;

/** Numbers of devices by state. */
export type Counts = Readonly<Record<Outcome["state"], number>>;

/** Counts the outcomes. */
export function countOutcomes(outcomes: readonly Outcome[]): Counts {
  const counts = { already: 0, enrolled: 0, pending: 0, failed: 0 };
  for (const { state } of outcomes) counts[state] += 1;
  return counts;
}

/** Exit code of a run. */
export function enrollExitCode(outcomes: readonly Outcome[]): ExitCode {
  return exitCodeOf(countOutcomes(outcomes));
}

/** The table: what needs a person's eye comes last, where it is read first. Devices enrolled before are only counted. */
export function formatOutcomes(outcomes: readonly Outcome[], colour: boolean): string {
  const shown = outcomes.filter(({ state }) => state !== "already");
  if (shown.length === 0) return "";
  const rows = [...shown]
    .sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state))
    .map((outcome): Cell[] => [
      outcome.id,
      { text: outcome.state, colour: COLOURS[outcome.state] },
      outcome.fingerprint ?? "-",
      detailOf(outcome),
    ]);
  return formatTable(["DEVICE", "STATE", "HOST KEY", "DETAIL"], rows, colour);
}

function detailOf(outcome: Outcome): string {
  if (outcome.state === "already") return "";
  if (outcome.state !== "enrolled") return `${outcome.code}: ${outcome.reason}`;
  const { architecture, memoryMiB, os } = outcome.enrollment.facts;
  const facts = [architecture, `${memoryMiB} MiB`, os].filter((part) => part !== undefined).join(", ");
  const replaced = outcome.replacedFingerprint === undefined ? [] : [`replaces ${outcome.replacedFingerprint}`];
  const warning = outcome.clock === undefined ? [] : [`warning: clock: ${outcome.clock}`];
  return [...replaced, facts, ...warning].join("; ");
}

/** One line of counts. */
export function summarize(region: string, outcomes: readonly Outcome[]): string {
  const { enrolled, already, pending, failed } = countOutcomes(outcomes);
  return `${region}: ${enrolled} enrolled, ${already} already, ${pending} pending, ${failed} failed`;
}

/** What to do next. */
export function nextStep(region: string, outcomes: readonly Outcome[], files: readonly string[]): string {
  const { enrolled, already, pending, failed } = countOutcomes(outcomes);
  if (enrolled > 0)
    return `Next: compare the fingerprints with those on the devices (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), commit ${files.join(" and ")}, then: edge-fleet preview ${region}`;
  if (failed > 0) return "Next: fix the failed devices and run again";
  if (pending > 0) return "Next: run again when the pending devices can be reached";
  return already > 0 ? `Next: edge-fleet preview ${region}` : `Next: add devices to the region ${region}`;
}

/** The report for --json. */
export function outcomeReport(region: string, { outcomes, files, dropped }: EnrollResult): object {
  return { region, written: files, dropped, counts: countOutcomes(outcomes), devices: outcomes };
}

/** The enrolled ones. */
export function enrolledOutcomes(outcomes: readonly Outcome[]): EnrolledOutcome[] {
  return outcomes.filter((outcome) => outcome.state === "enrolled");
}
