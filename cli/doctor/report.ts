/** What a run of the doctor says: a table by device and severity, one by finding, a summary, an exit code. */
import { join, relative } from "node:path";
import { PREFLIGHT_PAGE } from "../../components/plan/preflight.ts";
import { type ExitCode, exitCodeOf } from "../exit.ts";
import { PACKAGE_FOLDER } from "../package.ts";
import { type Cell, type Colour, formatTable } from "../terminal.ts";
import type { DoctorOutcome } from "./outcome.ts";

const COLOURS = { warning: "yellow", error: "red", pending: "yellow", failed: "red", well: "green" } as const;
/** What needs a person's eye comes last, where it is read first. */
const ORDER = ["well", "pending", "warnings", "failed", "errors"] as const;
/** Devices that are well are only counted where there are more. */
const FEW = 3;

/** Numbers of devices by state. */
export type Counts = Readonly<Record<DoctorOutcome["state"], number>>;

/** Counts the outcomes. */
export function countOutcomes(outcomes: readonly DoctorOutcome[]): Counts {
  const counts = { well: 0, warnings: 0, errors: 0, pending: 0, failed: 0 };
  for (const { state } of outcomes) counts[state] += 1;
  return counts;
}

/** Exit code of a run: warnings are no failure. */
export function doctorExitCode(outcomes: readonly DoctorOutcome[]): ExitCode {
  const { errors, failed, pending } = countOutcomes(outcomes);
  return exitCodeOf({ failed: errors + failed, pending });
}

/** The tables, empty where nothing is to be said. */
export function formatOutcomes(outcomes: readonly DoctorOutcome[], colour: boolean): string {
  const shown = outcomes.filter(({ state }) => outcomes.length <= FEW || state !== "well");
  if (shown.length === 0) return "";
  const rows = [...shown].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state)).flatMap(rowsOf);
  const table = formatTable(["DEVICE", "SEVERITY", "FINDING", "DETAIL"], rows, colour);
  const byFinding = outcomes.length > 1 ? findingRows(outcomes) : [];
  if (byFinding.length === 0) return table;
  return `${table}\n${formatTable(["FINDING", "SEVERITY", "DEVICES"], byFinding, colour)}`;
}

function rowsOf(outcome: DoctorOutcome): Cell[][] {
  const row = (severity: keyof typeof COLOURS, finding: string, detail: string): Cell[] => {
    const shade: Colour = COLOURS[severity];
    return [outcome.id, { text: severity, colour: shade }, finding, detail];
  };
  if (!("findings" in outcome)) return [row(outcome.state, outcome.code, outcome.reason)];
  if (outcome.findings.length === 0) return [row("well", "", "")];
  return [...outcome.findings].reverse().map(({ id, severity, text }) => row(severity, id, text));
}

function findingRows(outcomes: readonly DoctorOutcome[]): Cell[][] {
  const counts = new Map<string, number>();
  for (const outcome of outcomes) {
    if (!("findings" in outcome)) continue;
    for (const key of new Set(outcome.findings.map(({ id, severity }) => `${severity} ${id}`)))
      counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts]
    .sort(([a, one], [b, other]) => one - other || (a < b ? -1 : 1))
    .map(([key, count]) => {
      const [severity = "", id = ""] = key.split(" ");
      return [id, { text: severity, colour: severity === "error" ? "red" : "yellow" }, String(count)];
    });
}

/** One line of counts. */
export function summarize(outcomes: readonly DoctorOutcome[]): string {
  const { well, warnings, errors, pending, failed } = countOutcomes(outcomes);
  return `${well} well, ${warnings} with warnings, ${errors} with errors, ${pending} pending, ${failed} failed`;
}

/** What to do next; empty where nothing is. */
export function nextStep(outcomes: readonly DoctorOutcome[]): string {
  const { warnings, errors, pending, failed } = countOutcomes(outcomes);
  const page = relative(".", join(PACKAGE_FOLDER, PREFLIGHT_PAGE));
  if (errors + warnings > 0) return `Next: ${page} explains every finding and how to fix it`;
  if (failed > 0) return "Next: fix the failed devices and run again";
  return pending > 0 ? "Next: run again when the pending devices can be reached" : "";
}

/** The report for --json. */
export function doctorReport(outcomes: readonly DoctorOutcome[]): object {
  const devices = outcomes.map((outcome) => {
    if (!("findings" in outcome)) return outcome;
    const findings = outcome.findings.map((finding) => ({ ...finding, page: `${PREFLIGHT_PAGE}#${finding.id}` }));
    return { ...outcome, findings };
  });
  return { counts: countOutcomes(outcomes), devices };
}
