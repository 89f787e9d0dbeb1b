/**
 * What a run is about to change, for the people who have to agree: above the engine's own list, and as Markdown for a pull
 * request.
 */
import { appendFileSync } from "node:fs";
import * as pulumi from "@pulumi/pulumi";

/** Variable that names a file to which Markdown is appended, see `docs/operations.md`. */
export const SUMMARY_VARIABLE = "EDGE_FLEET_SUMMARY";

/** Most lines of one section on a terminal; the file has all. */
const SHOWN = 40;

/** Tells one section. Nothing is told where there are no lines. */
export async function tellSummary(title: string, lines: readonly string[], resource?: pulumi.Resource): Promise<void> {
  const file = process.env[SUMMARY_VARIABLE];
  if (file !== undefined && file !== "") appendFileSync(file, renderMarkdown(title, lines));
  if (lines.length === 0) return;
  const more = lines.length > SHOWN ? [`and ${lines.length - SHOWN} more lines`] : [];
  await pulumi.log.info([`${title}:`, ...lines.slice(0, SHOWN), ...more].join("\n  "), resource);
}

/** A section as Markdown. */
export function renderMarkdown(title: string, lines: readonly string[]): string {
  const items = lines.length === 0 ? ["no changes"] : lines.map((line) => line.replace(/[\\`*_<>|[\]]/g, "\\$&"));
  return `### ${title}\n\n${items.map((item) => `- ${item}\n`).join("")}\n`;
}
