/** Text of a device as it comes, for a terminal: what could steer the terminal is taken out, colours too. */
import { StringDecoder } from "node:string_decoder";

// biome-ignore lint/suspicious/noControlCharactersInRegex: removing them is the purpose
const STEERING = /\u001b\[[0-9;?]*[ -/]*[@-~]|[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** Text of a device without control characters other than tabs and line ends. */
export function plainLines(text: string): string {
  return text.replace(STEERING, "");
}

/**
 * Takes chunks and gives whole lines.
 * @param first line that is left out with everything before it; the lines after it are what was asked for
 * @param write takes one or more whole lines
 */
export function linesAfter(first: string, write: (lines: string) => void): (chunk: Buffer) => void {
  const decoder = new StringDecoder("utf8");
  let begun = false;
  let rest = "";
  return (chunk) => {
    const lines = (rest + decoder.write(chunk)).split("\n");
    rest = lines.pop() ?? "";
    const at = begun ? -1 : lines.findIndex((line) => line.trimEnd() === first);
    if (!begun && at < 0) return;
    begun = true;
    const shown = lines.slice(at + 1);
    if (shown.length > 0) write(`${shown.map(plainLines).join("\n")}\n`);
  };
}
