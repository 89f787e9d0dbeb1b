/** What `edge-fleet lock` says of its decisions, of a mirror and of images, as tables and as JSON. */
import { type Cell, type Colour, formatTable, usesColour } from "../terminal.ts";
import { entryAfter, type LockDecision } from "./decide.ts";
import type { ImageSuggestion } from "./images.ts";
import type { MirrorOutcome } from "./mirror.ts";

const LOCK_COLOURS = { added: "green", kept: "dim", moved: "yellow", changed: "yellow", refused: "red" } as const;
const MIRROR_COLOURS = { fetched: "green", present: "dim", missing: "yellow", failed: "red" } as const;

/** A decision as JSON. */
export function decisionReport(decision: LockDecision): object {
  const { url, sha256, size } = entryAfter(decision);
  return { field: decision.used.field, state: decision.state, url, sha256, size: size ?? null };
}

/** Prints the decisions. */
export function printDecisions(decisions: readonly LockDecision[]): void {
  const rows = decisions.map((decision): Cell[] => {
    const { sha256, size } = entryAfter(decision);
    const { state, used } = decision;
    return [used.field, { text: state, colour: LOCK_COLOURS[state] }, sha256.slice(0, 12), String(size ?? "-")];
  });
  print(["ARTIFACT", "STATE", "SHA-256", "BYTES"], rows);
}

/** Prints what is not present in a mirror, and the counts. */
export function printMirror(folder: string, outcomes: readonly MirrorOutcome[]): void {
  const state = (outcome: MirrorOutcome): { text: string; colour: Colour } => ({
    text: outcome.state,
    colour: MIRROR_COLOURS[outcome.state],
  });
  const told = outcomes.filter((outcome) => outcome.state !== "present");
  print(
    ["FILE", "STATE"],
    told.map((outcome): Cell[] => [outcome.path, state(outcome)]),
  );
  const counts = (["present", "fetched", "missing", "failed"] as const)
    .map((name) => `${outcomes.filter((outcome) => outcome.state === name).length} ${name}`)
    .join(", ");
  process.stdout.write(`${folder}: ${counts}\n`);
}

/** Why a mirror is not whole. */
export function mirrorProblems(folder: string, outcomes: readonly MirrorOutcome[]): string[] {
  return outcomes
    .filter(({ state }) => state === "missing" || state === "failed")
    .map(({ path, message }) => `${folder}/${path}: ${message}`);
}

/** Prints the suggestions: each image, then the block for a kustomization. */
export function printImages(suggestions: readonly ImageSuggestion[], block: string): void {
  print(
    ["IMAGE", "DIGEST", "FILES"],
    suggestions.map(({ reference, digest, files }): Cell[] => [reference, digest ?? "-", files.join(" ")]),
  );
  process.stdout.write(
    block === ""
      ? "Every image is pinned, or none could be resolved.\n"
      : `\nFor the kustomization.yaml beside them, which fixes these images for every device:\n\n${block}`,
  );
}

function print(header: readonly string[], rows: readonly Cell[][]): void {
  if (rows.length > 0) process.stdout.write(formatTable(header, rows, usesColour(process.stdout)));
}
