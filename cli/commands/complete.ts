/** `edge-fleet complete`: what the completion scripts ask on each press of the key. */
import type { Command } from "commander";
import { candidates } from "../completion/candidates.ts";

/** Registers the command. */
export function registerComplete(program: Command): void {
  program
    .command("complete", { hidden: true })
    .description("print the words that may come next, one a line")
    .argument("[words...]", "after --: the command line up to the cursor, the program's name first")
    .action(async (words: string[]) => {
      for (const word of await candidates(words.slice(1))) process.stdout.write(`${word}\n`);
    });
}
