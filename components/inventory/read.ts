/**
 * A text file that a person gave, read as text or refused with its place: a directory, a pipe that nobody writes to and
 * bytes that are not UTF-8 are errors, never a hang and never replacement characters.
 */
import { isUtf8 } from "node:buffer";
import { closeSync, constants, fstatSync, openSync, readFileSync } from "node:fs";
import { formatProblem } from "./problems.ts";

/** Thrown where a file cannot be read as text; the message is a problem line: `<file>:<line>:<column> (file): ...`. */
export class FileError extends Error {
  constructor(file: string, message: string, line = 1, column = 1) {
    super(formatProblem({ file, line, column }, "(file)", message));
    this.name = "FileError";
  }
}

/**
 * Reads a regular file as UTF-8; a byte order mark stays in the text.
 * @throws FileError saying what the file is instead, and what to do
 */
export function readTextFile(file: string): string {
  const bytes = readRegularFile(file);
  if (isUtf8(bytes)) return bytes.toString("utf8");
  const lines = bytes.toString("latin1").split("\n");
  const index = lines.findIndex((line) => !isUtf8(Buffer.from(line, "latin1")));
  const column =
    Buffer.from(lines[index] ?? "", "latin1")
      .toString("utf8")
      .indexOf("\ufffd") + 1;
  throw new FileError(file, "is not UTF-8 from here on - save the file as UTF-8", index + 1, column);
}

function readRegularFile(file: string): Buffer {
  let descriptor: number | undefined;
  try {
    // Without O_NONBLOCK opening a pipe waits for its writer.
    descriptor = openSync(file, constants.O_RDONLY | constants.O_NONBLOCK);
    const status = fstatSync(descriptor);
    if (status.isDirectory()) throw new FileError(file, "is a directory - give a file");
    if (!status.isFile()) throw new FileError(file, "is not a regular file - give a file");
    return readFileSync(descriptor);
  } catch (error) {
    if (error instanceof FileError) throw error;
    throw new FileError(file, systemMessage(error as NodeJS.ErrnoException));
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function systemMessage({ code }: NodeJS.ErrnoException): string {
  if (code === "ENOENT") return "does not exist - correct the path";
  if (code === "EACCES") return "may not be read - change its permissions";
  return `cannot be read (${code}) - look at it with ls -l`;
}
