/** `edge-fleet preview`: `pulumi preview` of one stack after the other, with the levers that make it fast. */
import type { Command } from "commander";
import { EXIT, type ExitCode } from "../exit.ts";
import type { ForegroundOutput } from "../process.ts";
import { readPreview } from "../pulumi/preview.ts";
import { jsonOption, printJson } from "./options.ts";
import { addPulumiArguments, type PulumiOptions, runStacks } from "./pulumi-options.ts";

interface PreviewOptions extends PulumiOptions {
  readonly json?: true;
}

const HELP = `
Exit codes: 0 previewed, 1 pulumi failed, 2 wrong usage or inventory.`;

/** Registers the command. */
export function registerPreview(program: Command): void {
  addPulumiArguments(program.command("preview").description("show what `up` would change; dials no device"))
    .addOption(jsonOption().conflicts("diff"))
    .addHelpText("after", HELP)
    .action(async (words: string[], options: PreviewOptions) => {
      process.exitCode = await (options.json ? previewJson(words, options) : preview(words, options));
    });
}

async function preview(words: readonly string[], options: PreviewOptions): Promise<ExitCode> {
  const ends = await runStacks({ operation: "preview", words, options, flags: [], stdout: () => "stdout" });
  const failed = ends.filter(({ end }) => end !== "succeeded");
  const names = ends.map(({ stack }) => stack).join(" ");
  const next = failed.length > 0 ? "fix what pulumi says above, and preview again" : `edge-fleet up ${names}`;
  if (ends.length > 0) process.stdout.write(`Next: ${next}\n`);
  return failed.length === 0 ? EXIT.ok : EXIT.failed;
}

/** What pulumi prints is read instead of shown; its messages still go to stderr. */
async function previewJson(words: readonly string[], options: PreviewOptions): Promise<ExitCode> {
  const chunks = new Map<string, Buffer[]>();
  const stdout = (stack: string): ForegroundOutput => {
    const own: Buffer[] = [];
    chunks.set(stack, own);
    return (chunk) => own.push(chunk);
  };
  const ends = await runStacks({ operation: "preview", words, options, flags: ["--json"], stdout });
  const stacks = ends.map(({ stack, end }) => {
    const preview = readPreview(Buffer.concat(chunks.get(stack) ?? []).toString("utf8"));
    return { stack, pulumi: end, ...preview };
  });
  printJson({ stacks });
  return ends.every(({ end }) => end === "succeeded") ? EXIT.ok : EXIT.failed;
}
