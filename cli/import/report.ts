/** What an import says: a table, the account of what was left behind, and the next step. */
import { type Position, RELEASE_FIELDS } from "../../components/inventory/index.ts";
import { formatTable } from "../terminal.ts";
import type { LeftOut } from "./host.ts";
import type { ImportResult } from "./run.ts";

/** Rows that the table shows; a long import is read in the diff. */
const MAX_ROWS = 40;

/** The report for people. */
export function formatImport(result: ImportResult, dryRun: boolean, colour: boolean): string {
  const { devices, leftOut, secrets, notes, files } = result;
  const rows = devices
    .slice(0, MAX_ROWS)
    .map(({ id, region, fields }) => [id, region, addressOf(fields), String(fields.model), String(fields.joins ?? "")]);
  const table = formatTable(["DEVICE", "REGION", "ADDRESS", "MODEL", "JOINS"], rows, colour);
  const more = devices.length > MAX_ROWS ? `… and ${devices.length - MAX_ROWS} more\n` : "";
  const lines = [
    ...secrets.map((field) => `refused secret ${describe(field)}`),
    ...leftOut.map((field) => `not taken over ${describe(field)}`),
    ...notes.map((note) => `note: ${note}`),
    `${devices.length} device(s) ${dryRun ? "would go" : "went"} into ${files.join(", ")}`,
    `Next: ${nextSteps(result, dryRun).join(", then: ")}`,
  ];
  return `${table}${more}${lines.join("\n")}\n`;
}

/** Commands that come next. */
export function nextSteps({ devices, files, newRegions }: ImportResult, dryRun: boolean): string[] {
  if (dryRun) return ["run again without --dry-run"];
  const regions = [...new Set(devices.map(({ region }) => region))];
  const locks = devices.some(({ fields }) => RELEASE_FIELDS.some((field) => field in fields));
  return [
    `git diff -- ${files.join(" ")}`,
    ...newRegions.map((region) => `pulumi stack init ${region}`),
    ...(locks ? ["edge-fleet lock"] : []),
    ...regions.map((region) => `edge-fleet enroll ${region}`),
  ];
}

/** The report for --json. */
export function importReport(source: string, result: ImportResult, dryRun: boolean): object {
  const account = (fields: readonly LeftOut[]) =>
    fields.map(({ field, positions, fix }) => ({ field, at: positions.map(at), fix: fix }));
  return {
    source,
    dryRun,
    files: result.files,
    devices: result.devices,
    notTakenOver: account(result.leftOut),
    refusedSecrets: account(result.secrets),
    notes: result.notes,
    next: nextSteps(result, dryRun),
  };
}

function describe({ field, positions, fix }: LeftOut): string {
  const [first] = positions;
  const place =
    first === undefined ? "" : ` (${at(first)}${positions.length > 1 ? ` and ${positions.length - 1} more` : ""})`;
  return `${field}${place} - ${fix}`;
}

function at({ file, line, column }: Position): string {
  return `${file}:${line}:${column}`;
}

function addressOf(fields: Readonly<Record<string, string | number>>): string {
  const user = fields["ssh.user"];
  const port = fields["ssh.port"];
  return `${user === undefined ? "" : `${user}@`}${fields.host}${port === undefined ? "" : `:${port}`}`;
}
