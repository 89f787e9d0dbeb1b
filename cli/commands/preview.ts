/**
 * `edge-fleet preview`: `pulumi preview` with the levers that make it fast, bounded by a watchdog; then which devices cannot
 * become what the inventory says.
 */
import type { Command } from "commander";
import { resolveRegion } from "../../components/inventory/index.ts";
import { planFindings } from "../../components/plan/findings.ts";
import { EXIT } from "../exit.ts";
import { plainExitCode, runPulumi, stallMessage } from "../pulumi/run.ts";
import { inventoryOf } from "./options.ts";
import { addPulumiArguments, type PulumiOptions, stackFacts } from "./pulumi-options.ts";

/** Registers the command. */
export function registerPreview(program: Command): void {
  addPulumiArguments(program.command("preview").description("show what `up` would change; dials no device")).action(
    async (stack: string, extra: string[], options: PulumiOptions) => {
      const run = {
        operation: "preview" as const,
        stack,
        ...stackFacts(stack, options),
        parallel: options.parallel,
        yes: false,
        extra,
      };
      const result = await runPulumi(run);
      if (result.stalled !== undefined) process.stderr.write(`${stallMessage(run, result.stalled)}\n`);
      process.exitCode = reportRefused(stack, options) > 0 ? EXIT.failed : plainExitCode(result);
    },
  );
}

/** `up` applies the other devices; a preview fails, so that a review sees it. @returns how many lines there are */
function reportRefused(stack: string, options: PulumiOptions): number {
  const inventory = inventoryOf(options);
  const region = stack.split("/").at(-1) ?? stack;
  if (!inventory.regions.has(region)) return 0;
  const { errors } = planFindings(inventory, resolveRegion(inventory, region));
  for (const line of errors) process.stderr.write(`error: ${line}\n`);
  return errors.length;
}
