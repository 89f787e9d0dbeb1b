/**
 * What the pipelines of all CI systems share: versions, the files that begin a run, and the shell of each step. A step's
 * shell is plain `pulumi`, so that a person can run the same. Pure.
 */
import { parse } from "yaml";
import { MANIFEST, readProjectFile } from "../package.ts";

/** What a pipeline is made from. */
export interface PipelineInput {
  /** The branch that is applied. */
  readonly branch: string;
  readonly regions: readonly string[];
  /** Stack of the hub. */
  readonly hub: string;
  /** Folder of the inventory. */
  readonly inventory: string;
  /** Options that point the commands to folders other than the default ones, with a leading blank. */
  readonly inventoryOption: string;
  readonly treeOption: string;
}

/** The CLI goes with the SDK that the program uses. */
export const PULUMI_VERSION: string = (MANIFEST.dependencies["@pulumi/pulumi"] ?? "").replace(/^\^/, "");
/** Node of the jobs. */
export const NODE_VERSION = "24";
/** Where the program leaves the summary of a preview as Markdown. */
export const SUMMARY = ".edge-fleet/summary.md";
/** Characters of a comment: GitHub takes 65,536, GitLab more. */
const MAX_COMMENT = 60_000;

/** Files that a stack is made of: a push that changes others, as a promotion does, applies nothing. */
export function stackFiles(inventory: string): string[] {
  const { main } = parse(readProjectFile()) as { readonly main: string };
  return [`${inventory}/**`, "Pulumi.yaml", main, "package.json", "package-lock.json"];
}

/** Checks that need neither a secret nor a device. */
export function checkSteps({ inventoryOption, treeOption }: PipelineInput): string[] {
  return [
    `npx edge-fleet lock --check${inventoryOption}`,
    `npx edge-fleet render --check${inventoryOption}${treeOption}`,
    `npx edge-fleet check${inventoryOption}${treeOption}`,
  ];
}

/** Previews $STACK and leaves the summary. Dials no device. */
export const PREVIEW = ["mkdir -p .edge-fleet", `EDGE_FLEET_SUMMARY=${SUMMARY} pulumi preview --stack "$STACK" --diff`];

/**
 * Applies $STACK. `pulumi up` previews first, and what its preview refuses is not applied. Devices that do not answer are
 * pending and no failure.
 */
export const UP = 'pulumi up --stack "$STACK" --yes --non-interactive';

/** An agent for the devices' key, ended with the shell. The key itself is loaded behind it. */
export const SSH_AGENT = ['eval "$(ssh-agent -s)" > /dev/null', "trap 'ssh-agent -k > /dev/null' EXIT"];

/**
 * Writes `comment.md`: what the preview of $STACK says.
 * @param failed a shell condition: the preview failed
 * @param url of the run, for the shell
 */
export function writeComment(failed: string, url: string): string[] {
  return [
    "{",
    '  echo "<!-- edge-fleet preview $STACK -->"',
    '  echo "### Preview of $STACK"',
    `  if ${failed}; then echo "**It failed**: [log](${url})"; fi`,
    `  if [ -s ${SUMMARY} ]; then head -c ${MAX_COMMENT} ${SUMMARY}; fi`,
    "} > comment.md",
  ];
}

/** Lines with blanks in front. */
export function indentLines(lines: readonly string[], blanks: number): string {
  return lines.map((line) => `${" ".repeat(blanks)}${line}\n`).join("");
}
