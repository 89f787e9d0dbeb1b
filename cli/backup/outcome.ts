/**
 * What listing or restoring the copies of one device came to, read from how its SSH connection ended and what came over
 * it. What a device says is checked like any other foreign input.
 */
import { z } from "zod";
import type { SshFailure } from "../../components/device/failure.ts";
import { explainAnswer, type SshAnswer } from "../ssh/run.ts";
import { printable } from "../terminal.ts";

/** A copy of the datastore on a device. */
interface Copy {
  /** `<time>`, or `<time>-before` for what a restore has replaced. */
  readonly name: string;
  /** RFC 3339, UTC. */
  readonly time: string;
  /** What it takes on the disk. */
  readonly kib: number;
  /** `true`: it is at {@link Listing.url}. */
  readonly sent: boolean;
}

/** The copies of a device. */
export interface Listing {
  readonly device: string;
  /** Where copies are sent to; empty: they stay on the device. */
  readonly url: string;
  /** Why the last one could not be sent; empty: it could. */
  readonly unsent: string;
  /** The newest first. */
  readonly copies: readonly Copy[];
}

/** How a restore ended. */
export interface Restored {
  readonly device: string;
  /** `rolled-back`: the device did not become ready with the copy, and runs on what it had. */
  readonly result: "restored" | "rolled-back" | "failed";
  /** The copy. */
  readonly copy: string;
  /** The copy of what was there before; empty where nothing was. */
  readonly before: string;
  /** What went wrong and what to do; empty where nothing did. */
  readonly reason: string;
}

/** A device that said nothing of use, and why. */
export interface NoAnswer extends SshFailure {
  readonly device: string;
}

/** Characters of a text of the device that are shown. */
const LONGEST = 1000;

/** What a shell, sudo or another program says. */
const NO_PROGRAM = /^usage: edge-fleet-device |edge-fleet-device'?: (command )?(not found|No such file)/m;

const NAME = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z(-before)?$/;

const ListingSchema = z.object({
  edgeFleetBackups: z.literal(1),
  url: z.string().max(2000),
  unsent: z.string().max(4000),
  copies: z.array(z.object({ name: z.string().regex(NAME), kib: z.int().min(0), sent: z.boolean() })).max(200),
});

const RestoredSchema = z.object({
  result: z.enum(["restored", "rolled-back", "failed"]),
  copy: z.string().max(64).default(""),
  before: z.string().max(64).default(""),
  reason: z.string().max(4000),
});

/** Classifies a connection that asked for the copies. @param region for the fix where the program is an older one */
export function classifyListing(device: string, region: string, result: SshAnswer): Listing | NoAnswer {
  const answer = lastAnswer(result.stdout, ListingSchema);
  if (answer === undefined) return noAnswer(device, region, result);
  const copies = answer.copies.map(({ name, kib, sent }) => ({ name, time: timeOf(name), kib, sent }));
  const { url, unsent } = answer;
  return { device, url: printable(url, LONGEST), unsent: printable(unsent, LONGEST), copies };
}

/** Classifies a connection that asked for a restore. @param region for the fix where the program is an older one */
export function classifyRestored(device: string, region: string, result: SshAnswer): Restored | NoAnswer {
  const answer = lastAnswer(result.stdout, RestoredSchema);
  if (answer === undefined) return noAnswer(device, region, result);
  const { result: ended, copy, before, reason } = answer;
  const shown = (text: string) => printable(text, LONGEST);
  return { device, result: ended, copy: shown(copy), before: shown(before), reason: shown(reason) };
}

/** RFC 3339 time of a copy's name. */
function timeOf(name: string): string {
  return name.replace(NAME, "$1-$2-$3T$4:$5:$6Z");
}

/** The last line that the schema takes: log-in shells may print lines of their own before. */
function lastAnswer<T>(stdout: string, schema: z.ZodType<T>): T | undefined {
  for (const line of stdout.split("\n").reverse()) {
    if (!line.startsWith("{")) continue;
    try {
      const { data } = schema.safeParse(JSON.parse(line));
      if (data !== undefined) return data;
    } catch {
      // No JSON: another line may be.
    }
  }
  return undefined;
}

function noAnswer(device: string, region: string, result: SshAnswer): NoAnswer {
  const failed = lastAnswer(result.stdout, RestoredSchema.pick({ result: true, reason: true }));
  if (failed !== undefined)
    return { device, state: "failed", code: "device", reason: printable(failed.reason, LONGEST) };
  if (NO_PROGRAM.test(result.stderr))
    return {
      ...{ device, state: "failed", code: "program" },
      reason: `the device program is missing or of another release - run edge-fleet up ${region}`,
    };
  return { device, ...explainAnswer(result) };
}
