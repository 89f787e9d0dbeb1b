/** `edge-fleet preview`: `pulumi preview` with the levers that make it fast, bounded by a watchdog. */
import type { Command } from "commander";
import { plainExitCode, runPulumi, stallMessage } from "../pulumi/run.ts";
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
      process.exitCode = plainExitCode(result);
    },
  );
}
