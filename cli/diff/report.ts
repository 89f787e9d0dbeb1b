/** Groups of rendered differences as text: for a terminal, and as Markdown for a comment on a pull request. */
import type { DiffGroup, ObjectChange } from "./manifests.ts";

/** What is told of a comparison. */
export interface DiffReport {
  /** What the operator asked for, e.g. `main`, and the commit that it is. */
  readonly base: { readonly name: string; readonly commit: string };
  readonly head: { readonly name: string; readonly commit: string };
  readonly groups: readonly DiffGroup[];
  /** Leaves that render to the same. */
  readonly unchanged: number;
}

/** GitHub refuses comments of more than 65,536 characters. */
const MAX_MARKDOWN = 60_000;
/** Lines of one object that are shown. */
const MAX_LINES = 200;
const SHOWN_PATHS = 6;

/** One line on what changes for how many devices. */
export function summariseDiff({ base, head, groups, unchanged }: DiffReport): string {
  const devices = groups.reduce((sum, group) => sum + group.devices, 0);
  const leaves = groups.reduce((sum, { paths }) => sum + paths.length, 0);
  const range = `${base.name} (${base.commit.slice(0, 12)}) -> ${head.name} (${head.commit.slice(0, 12)})`;
  if (leaves === 0) return `${range}: no rendered change in ${unchanged} folder(s)`;
  return `${range}: ${leaves} of ${leaves + unchanged} folder(s) change for ${devices} device(s), in ${groups.length} different way(s)`;
}

/** For a terminal. */
export function formatDiff(report: DiffReport): string {
  const blocks = report.groups.map((group) =>
    [headingOf(group), ...bodyOf(group).map((line) => `  ${line}`)].join("\n"),
  );
  return `${[summariseDiff(report), ...blocks].join("\n\n")}\n`;
}

/** For a comment: one section a group, the diff folded away; cut where a comment would be refused. */
export function formatDiffMarkdown(report: DiffReport): string {
  let text = `### Rendered difference\n\n${summariseDiff(report)}\n`;
  for (const [index, group] of report.groups.entries()) {
    const fence = fenceFor(bodyOf(group));
    const section = `\n<details><summary>${escapeHtml(headingOf(group))}</summary>\n\n${fence}diff\n${bodyOf(group).join("\n")}\n${fence}\n\n</details>\n`;
    if (text.length + section.length > MAX_MARKDOWN)
      return `${text}\n${report.groups.length - index} more group(s) are left out: run \`edge-fleet diff ${report.base.name} ${report.head.name}\`\n`;
    text += section;
  }
  return text;
}

function headingOf({ paths, devices, difference }: DiffGroup): string {
  const shown = paths.slice(0, SHOWN_PATHS).join(", ");
  const more = paths.length > SHOWN_PATHS ? ` and ${paths.length - SHOWN_PATHS} more` : "";
  const what = { changed: "changes", added: "new", removed: "gone", failed: "does not build" }[difference.kind];
  return `${devices} device(s), ${paths.length} folder(s), ${what}: ${shown}${more}`;
}

function bodyOf({ difference }: DiffGroup): string[] {
  if (difference.kind === "failed") return [`${difference.at}: ${difference.message}`];
  if (difference.kind !== "changed")
    return difference.changes.map(({ object }) => `${difference.kind === "added" ? "+" : "-"} ${object}`);
  return difference.changes.flatMap(describeObject);
}

function describeObject({ object, change, lines }: ObjectChange): string[] {
  const hidden = lines.length - MAX_LINES;
  return [
    `# ${object} (${change})`,
    ...lines.slice(0, MAX_LINES),
    ...(hidden > 0 ? [`@@ ${hidden} more line(s)`] : []),
  ];
}

/** A fence longer than any in the text, so that the text cannot end it. */
function fenceFor(lines: readonly string[]): string {
  const longest = Math.max(2, ...lines.flatMap((line) => [...line.matchAll(/`+/g)].map(([run]) => run.length)));
  return "`".repeat(longest + 1);
}

function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
