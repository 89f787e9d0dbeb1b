/**
 * The last answers of devices that were asked over SSH, beside the project in a file that Git ignores: so that `status`
 * shows them with their age, and a device that has fallen silent since is told from one that was never there. Nothing
 * depends on it: what cannot be read is nothing known.
 */
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { DIAL_FOLDER } from "../../components/device/folder.ts";
import { projectPath } from "../project.ts";
import type { AnswerReading, StatusAnswer } from "./answer.ts";
import { AnswerSchema, statusOfAnswer } from "./answer.ts";
import type { Asked } from "./dial.ts";
import type { DeviceStatus } from "./health.ts";

const KnownSchema = z.object({
  /** When it last answered, in milliseconds since 1970, and what. Absent: it never has. */
  answered: z.object({ at: z.number(), answer: AnswerSchema }).optional(),
  /** When it was last asked in vain, after that answer, and why. Absent: it has answered. */
  failed: z.object({ at: z.number(), code: z.string(), reason: z.string() }).optional(),
});

/** What is known of one device. */
export type Known = z.infer<typeof KnownSchema>;

/** What is known of devices, by id. */
export type Memory = ReadonlyMap<string, Known>;

const FileSchema = z.object({ devices: z.record(z.string(), KnownSchema) });

/** What was known before, and what has come of asking now. */
export function remember(memory: Memory, asked: readonly Asked[]): Map<string, Known> {
  const next = new Map(memory);
  for (const { id, at, result } of asked) {
    const answered = next.get(id)?.answered;
    if (isAnswer(result)) next.set(id, { answered: { at, answer: result } });
    else next.set(id, { ...(answered === undefined ? {} : { answered }), failed: { at, ...result } });
  }
  return next;
}

function isAnswer(result: Asked["result"]): result is StatusAnswer {
  return "applications" in result;
}

/** The status of a device by what is known of it. */
export function statusOfKnown(
  { answered, failed }: Known,
  reading: Omit<AnswerReading, "receivedAt">,
): DeviceStatus | undefined {
  const last =
    answered === undefined ? undefined : statusOfAnswer(answered.answer, { ...reading, receivedAt: answered.at });
  if (failed === undefined) return last;
  return {
    ...{ healthy: false, ...last },
    connected: false,
    observedAt: new Date(failed.at).toISOString(),
    problems: [`no answer: ${failed.code}: ${failed.reason}`],
  };
}

/** Reads the file. Empty where there is none, or where it cannot be read. */
export function readMemory(): Memory {
  try {
    return new Map(Object.entries(FileSchema.parse(JSON.parse(readFileSync(pathOf(), "utf8"))).devices));
  } catch {
    return new Map();
  }
}

/** Writes the file, swapped in as a whole. What keeps it from that is no reason to keep back what devices say. */
export function writeMemory(memory: Memory): void {
  const temporary = `${pathOf()}.${process.pid}.tmp`;
  try {
    mkdirSync(projectPath(DIAL_FOLDER), { recursive: true, mode: 0o700 });
    writeFileSync(temporary, JSON.stringify({ devices: Object.fromEntries(memory) }), { mode: 0o600 });
    renameSync(temporary, pathOf());
  } catch {
    rmSync(temporary, { force: true });
  }
}

function pathOf(): string {
  return join(projectPath(DIAL_FOLDER), "answers.json");
}
