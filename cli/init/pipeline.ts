/**
 * What the pipelines of all CI systems share: the pinned Pulumi CLI, the list of regions, and what they are made from.
 */
import { MANIFEST } from "../package.ts";

/** What a pipeline is made from. */
export interface PipelineInput {
  /** The branch that is applied. */
  readonly branch: string;
  readonly regions: readonly string[];
  /** Stack of the hub. */
  readonly hub: string;
  /** Options that point the commands to folders other than the default ones, with a leading blank. */
  readonly inventoryOption: string;
  readonly treeOption: string;
}

/** The CLI goes with the SDK that the program uses. */
export const PULUMI_VERSION: string = sdkVersion();
/** Node of the jobs. */
export const NODE_VERSION = "24";

/** The pinned CLI, checked against the release's list before it is unpacked. */
export const INSTALL_PULUMI = [
  'curl -fsSLO "$PULUMI_RELEASE/pulumi-v$PULUMI_VERSION-linux-x64.tar.gz"',
  'curl -fsSL "$PULUMI_RELEASE/pulumi-$PULUMI_VERSION-checksums.txt" | grep "pulumi-v$PULUMI_VERSION-linux-x64.tar.gz" | sha256sum --check',
  'tar -xzf "pulumi-v$PULUMI_VERSION-linux-x64.tar.gz" -C "$HOME"',
];
/** Where the release lies. */
export const RELEASE_URL = `https://github.com/pulumi/pulumi/releases/download/v${PULUMI_VERSION}`;

/** Region names as JSON, computed from the inventory. */
export function listRegions(inventoryOption: string): string {
  return `npx edge-fleet overview --json${inventoryOption} | node -p 'JSON.stringify(JSON.parse(require("fs").readFileSync(0)).regions.map(({ name }) => name).sort())'`;
}

function sdkVersion(): string {
  return (MANIFEST.dependencies["@pulumi/pulumi"] ?? "").replace(/^\^/, "");
}

/** Lines with blanks in front. */
export function indentLines(lines: readonly string[], blanks: number): string {
  return lines.map((line) => `${" ".repeat(blanks)}${line}\n`).join("");
}
