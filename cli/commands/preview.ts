/** `edge-fleet preview`: `pulumi preview` of one stack after the other, with the levers that make it fast. */
import type { Command } from "commander";
import { EXIT } from "../exit.ts";
import { addPulumiArguments, type PulumiOptions, runStacks } from "./pulumi-options.ts";

/** Registers the command. */
export function registerPreview(program: Command): void {
  addPulumiArguments(program.command("preview").description("show what `up` would change; dials no device")).action(
    async (words: string[], options: PulumiOptions) => {
      const ends = await runStacks({ operation: "preview", words, options, flags: [], stdout: "stdout" });
      process.exitCode = ends.every(({ end }) => end === "succeeded") ? EXIT.ok : EXIT.failed;
    },
  );
}
