/** What a promotion or a rollback is about, for people. */

import type { Leaf } from "../../components/gitops/index.ts";
import { formatDiff } from "../diff/report.ts";
import { formatTable, printable, usesColour } from "../terminal.ts";
import type { ChangeImpact, PromotionPlan } from "./decide.ts";
import type { RingBefore } from "./gate.ts";
import { describeRest, type RingVerdict } from "./health.ts";
import { currentPeriod } from "./history.ts";
import { formatDuration } from "./rules.ts";

/** Rows of a table that are shown. */
const MAX_ROWS = 12;
/** Characters of a rendered difference that are shown. */
const MAX_DIFF = 6_000;

/** `healthy: 48 of 50 device(s) healthy, 1 failed, 1 unknown`. */
export function describeVerdict({ counts, total, healthy }: RingVerdict): string {
  const share = [`${counts.healthy} of ${total} device(s) healthy`, describeRest(counts)].filter((text) => text !== "");
  return `${healthy ? "healthy" : "not healthy"}: ${share.join(", ")}`;
}

/** What the change does: commits, devices, rendered difference. */
export function describeImpact(impact: ChangeImpact): string {
  const { commits, devices, blast, backwards, diff, noDiff } = impact;
  const blocks: string[] = [];
  if (backwards) blocks.push("This does not contain what the ring runs now: devices go back.\n");
  if (commits.length > 0) {
    const lines = commits.map(
      ({ commit, date, author, subject }) =>
        `  ${commit.slice(0, 12)}  ${date.slice(0, 10)}  ${printable(author, 30)}  ${printable(subject, 100)}`,
    );
    blocks.push(`Commits that change the tree:\n${lines.join("\n")}\n`);
  }
  blocks.push(`Devices: ${devices.length}\n${describeBlast(blast)}`);
  if (diff !== undefined) blocks.push(cut(formatDiff(diff)));
  if (noDiff !== undefined) blocks.push(`No rendered difference: ${noDiff}\n`);
  return blocks.join("\n");
}

/** What the ring before says. @param now milliseconds since 1970 */
export function describeBefore(before: RingBefore | undefined, now: number): string {
  if (before === undefined) return "";
  const running = currentPeriod(before.periods);
  if (running === undefined) return `Ring before: ${before.ring}, deploys nothing\n`;
  const since = formatDuration(now - running.since, "down");
  const health = before.verdict === undefined ? "health not known" : describeVerdict(before.verdict);
  return `Ring before: ${before.ring}, ${running.revision.slice(0, 12)} for ${since}, ${health}\n`;
}

/** Who signed the commit, where that is asked for. */
export function describeSigner({ signer }: PromotionPlan): string {
  return signer === undefined ? "" : `Signed by ${printable(signer)}\n`;
}

function describeBlast(blast: readonly Leaf[]): string {
  if (blast.length === 0) return "";
  const rows = blast.slice(0, MAX_ROWS).map(({ region, model, devices }) => [region, model, String(devices)]);
  const rest = blast.slice(MAX_ROWS);
  if (rest.length > 0) {
    const devices = rest.reduce((sum, row) => sum + row.devices, 0);
    rows.push([`${rest.length} more`, "", String(devices)]);
  }
  return formatTable(["REGION", "MODEL", "DEVICES"], rows, usesColour(process.stdout));
}

function cut(text: string): string {
  if (text.length <= MAX_DIFF) return text;
  const end = text.lastIndexOf("\n", MAX_DIFF);
  return `${text.slice(0, end)}\n… ${text.length - end} more characters: edge-fleet diff shows all\n`;
}
