/**
 * What became of a device: from the line that its dial printed (dial.sh) to an outcome. What a device says is checked like
 * any other foreign input. Pure.
 */
import { explainSshEnd } from "./failure.ts";

/** What became of a device. */
export interface DeviceOutcome {
  /**
   * `applied`: it is what the plan says. `pending`: not reached, and nothing is wrong with it as far as is known.
   * `failed`: a person has to look. `removed`: it has left the fleet.
   */
  readonly state: "applied" | "pending" | "failed" | "removed";
  /** Short and stable, e.g. `unreachable`; `wiped` or `retained` for a device that has left; empty where all is well. */
  readonly code: string;
  /** `<what> - <fix>`; empty where all is well. */
  readonly reason: string;
  /** Release of the distribution that last ran well on the device; empty: none is known. */
  readonly release: string;
  /** Its engine when it was dialled: `ready` or `waiting: <reason>`. Absent: it has none of edge-fleet's, or was not asked. */
  readonly engine?: string;
}

/** The answer of the device program, see `report` in program/journal.sh. */
export interface DeviceAnswer {
  /**
   * `rolled-back`: the new state failed and the previous one runs again, or nothing is left of a first install.
   * `removed`: the device holds nothing of the fleet any more.
   */
  readonly result: "applied" | "unchanged" | "rolled-back" | "failed" | "removed";
  /** Id of the device; empty where it does not know it. */
  readonly device: string;
  /** Short id that begins the reason; empty where there is none. */
  readonly code: string;
  /** Hash of the state that was asked for, see `Payload.hash`. */
  readonly hash: string;
  readonly version: string;
  /** `ready` or `waiting: <reason>`; empty where the device has no engine of ours. */
  readonly engine: string;
  readonly reason: string;
}

/** The line that a dial prints. */
export interface DialResult {
  /** Attempt that this dial was, see state.ts; empty: none was told. */
  readonly attempt: string;
  readonly outcome: DeviceOutcome;
}

const RESULTS: readonly string[] = [
  "applied",
  "unchanged",
  "rolled-back",
  "failed",
  "removed",
] satisfies DeviceAnswer["result"][];

/** Codes of failures that pass by themselves: the device goes on alone, or somebody else is at it. */
const PASSING: ReadonlySet<string> = new Set(["locked", "running", "interrupted"]);

/** Reads a dial's line. @returns undefined for anything else, e.g. the unknown value of a preview */
export function parseDialResult(line: string): DialResult | undefined {
  const fields = parseObject(line);
  if (fields === undefined || typeof fields.end !== "string") return undefined;
  const text = (name: string): string => (typeof fields[name] === "string" ? fields[name] : "");
  const outcome = outcomeOf(fields.end, text("text"), fields.answer);
  return { attempt: text("attempt"), outcome: { ...outcome, release: text("version") } };
}

/** Reads the device program's own answer: the last line of its stdout. @returns undefined for anything else */
export function parseDeviceAnswer(stdout: string): DeviceAnswer | undefined {
  return asAnswer(parseObject(stdout.trimEnd().split("\n").at(-1) ?? ""));
}

/** Why a device is `pending` though nobody dialled it. */
export function notEnrolled(region: string): Omit<DeviceOutcome, "release"> {
  return { state: "pending", code: "not-enrolled", reason: `no host key is pinned - run edge-fleet enroll ${region}` };
}

function outcomeOf(end: string, text: string, answer: unknown): Omit<DeviceOutcome, "release"> {
  switch (end) {
    case "answer":
      return answerOutcome(asAnswer(answer));
    case "held":
      return { state: "pending", code: "held", reason: text };
    case "waiting":
      return { state: "pending", code: "server", reason: `its server ${text} comes first and is not applied` };
    case "client":
      return { state: "failed", code: "client", reason: `on the workstation: ${text} - fix it and run again` };
    default: {
      const [status = "", ...words] = text.split(" ");
      const loggedIn = end.endsWith("-after-log-in");
      const code = /^\d+$/.test(status) ? Number(status) : undefined;
      // 128 and above: the client itself was ended by a signal.
      return explainSshEnd({
        status: code !== undefined && code > 128 && code !== 255 ? undefined : code,
        text: words.join(" "),
        loggedIn,
        overdue: end.startsWith("overdue"),
      });
    }
  }
}

function answerOutcome(answer: DeviceAnswer | undefined): Omit<DeviceOutcome, "release"> {
  if (answer === undefined)
    return {
      state: "failed",
      code: "answer",
      reason: "the device gave an answer that cannot be read - read /var/log/edge-fleet/apply.log on it",
    };
  const { result, code, reason, engine } = answer;
  if (result === "applied" || result === "unchanged")
    return { state: "applied", code: "", reason: "", ...(engine === "" ? {} : { engine }) };
  if (result === "removed") return { state: "removed", code: reason === "retained" ? "retained" : "wiped", reason: "" };
  const told = reason.startsWith(`${code}: `) ? reason.slice(code.length + 2) : reason;
  const words = result === "rolled-back" ? `rolled back: ${told}` : told;
  return { state: PASSING.has(code) ? "pending" : "failed", code: code || result, reason: words };
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function asAnswer(value: unknown): DeviceAnswer | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const fields = value as Readonly<Record<string, unknown>>;
  const text = (name: string): string => (typeof fields[name] === "string" ? fields[name] : "");
  if (!RESULTS.includes(text("result"))) return undefined;
  return {
    result: text("result") as DeviceAnswer["result"],
    ...{
      device: text("device"),
      code: text("code"),
      hash: text("hash"),
      version: text("version"),
      engine: text("engine"),
      reason: text("reason"),
    },
  };
}
