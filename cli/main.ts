/** The `edge-fleet` command: parses, runs, and turns whatever is thrown into a message and an exit code. */
import { endingOf } from "./exit.ts";
import { buildProgram } from "./program.ts";

try {
  await buildProgram().parseAsync(process.argv);
} catch (error) {
  const { code, message } = endingOf(error);
  if (message !== "") process.stderr.write(`${message}\n`);
  process.exitCode = code;
}
