/** The `edge-fleet` command: parses, runs, and turns whatever is thrown into a message and an exit code. */
import { endingOf } from "./exit.ts";
import { buildProgram, commandOf } from "./program.ts";

// A reader that has seen enough, such as head, closes the pipe: what is still to be said is then for nobody.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });

try {
  const program = await buildProgram(commandOf(process.argv.slice(2)) ?? "");
  await program.parseAsync(process.argv);
} catch (error) {
  const { code, message } = endingOf(error);
  if (message !== "") process.stderr.write(`${message}\n`);
  process.exitCode = code;
}
