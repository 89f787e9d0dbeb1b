/**
 * Reads what a device says of itself: the line of JSON that `edge-fleet-device status` prints on it. The line comes
 * from a machine that somebody else may hold, so it is bounded, plain text, and never believed about another device.
 * Its times count by its own clock, which may be wrong: they are taken as ages. Pure.
 */
import { z } from "zod";
import { OVERLAY_WORKLOAD } from "../../components/gitops/labels.ts";
import { printable } from "../terminal.ts";
import type { DeviceStatus } from "./health.ts";
import { describeState, isWell, MAX_PROBLEMS } from "./status.ts";

/** Bytes of a line at most: 200 Applications of 300 bytes. */
export const MAX_ANSWER_BYTES = 64 * 1024;

const word = (max: number) =>
  z
    .string()
    .max(max)
    .regex(/^[!-~]*$/);
const time = z.union([z.literal(""), z.iso.datetime({ offset: true })]);
const text = z
  .string()
  .max(4000)
  .transform((value) => printable(value, 200));

/** What of the line is read, see program/status.sh. An empty text is what the device does not know. */
export const AnswerSchema = z.object({
  edgeFleetStatus: z.literal(1),
  device: word(63),
  /** The device's clock. */
  at: time,
  release: word(100),
  /** Whether its cluster answers: without it nothing is known of Applications. */
  api: z.boolean(),
  /** Of its pull engine: `ready`, `waiting: <reason>`, or empty. */
  state: text,
  applications: z
    .array(
      z.object({
        name: z
          .string()
          .max(253)
          .regex(/^[a-z0-9][a-z0-9.-]*$/),
        revision: word(256),
        sync: word(32),
        health: word(32),
        healthSince: time,
        deployedAt: time,
        phase: word(32),
        reconciledAt: time,
        conditions: text,
      }),
    )
    .max(200),
});

/** What a device has said. */
export type StatusAnswer = z.infer<typeof AnswerSchema>;

/** Reads the last line of what a device wrote. @returns undefined for anything but an answer */
export function parseAnswer(stdout: string): StatusAnswer | undefined {
  const line = stdout.trimEnd().split("\n").at(-1) ?? "";
  if (line.length > MAX_ANSWER_BYTES) return undefined;
  try {
    return AnswerSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** How an answer is read. */
export interface AnswerReading {
  /** When it came, in milliseconds since 1970, by the clock of this machine. */
  readonly receivedAt: number;
  /** The workload that is asked about. Undefined: that of the overlays. */
  readonly workload: string | undefined;
  /** How often the engine compares what runs with Git, in milliseconds. Undefined: the device has no engine. */
  readonly comparesEveryMs: number | undefined;
}

type Application = StatusAnswer["applications"][number];

/**
 * The status of a device by its own answer. It is well if its engine is, and the workload's Application is as the hub would
 * call it well, and was compared lately: an engine that hangs leaves the best words standing.
 */
export function statusOfAnswer(answer: StatusAnswer, reading: AnswerReading): DeviceStatus {
  const { workload = OVERLAY_WORKLOAD, receivedAt, comparesEveryMs } = reading;
  const at = iso(receivedAt);
  const contact = { connected: true, observedAt: at, lastSeenAt: at, release: answer.release || undefined };
  if (comparesEveryMs === undefined) return { ...contact, healthy: false };
  const application = answer.applications.find(({ name }) => name === workload);
  const current = application !== undefined && isCurrent(application, answer.at, comparesEveryMs);
  const since = application === undefined ? undefined : sinceOf(application, answer.at);
  const problems = problemsOf(answer, workload, current);
  return {
    ...contact,
    healthy: answer.state === "ready" && current && isWell(application),
    revision: application?.revision || undefined,
    since: since === undefined ? undefined : iso(receivedAt - since),
    ...(problems.length === 0 ? {} : { problems: problems.slice(0, MAX_PROBLEMS) }),
  };
}

function problemsOf({ api, state, applications }: StatusAnswer, workload: string, current: boolean): string[] {
  if (!api) return ["its cluster does not answer"];
  const own = applications.filter(({ name }) => name === workload);
  return [
    ...(state === "ready" ? [] : [`engine ${state || "not installed"}`]),
    ...(own.length === 0 ? [`Application ${workload} is missing`] : []),
    ...(own.length === 0 || current ? [] : [`Application ${workload} was not compared lately`]),
    ...[...own, ...applications.filter(({ name }) => name !== workload)].flatMap(problemOf),
  ];
}

function problemOf(application: Application): string[] {
  const errors = application.conditions.split(" ").filter((type) => /(Error|Failed)$/.test(type));
  const words = [describeState(application), ...new Set(errors)].filter((word) => word !== "").join(", ");
  return words === "" ? [] : [`Application ${application.name.slice(0, 63)}: ${words}`];
}

/** For how long it runs its revision whole, and is as well as it is: whichever is shorter. */
function sinceOf({ deployedAt, healthSince }: Application, now: string): number | undefined {
  const deployed = ageOf(deployedAt, now);
  return deployed === undefined ? undefined : Math.min(deployed, ageOf(healthSince, now) ?? deployed);
}

/** With the jitter of a half, one comparison that failed, and the patience that a slow link asks for. */
function isCurrent({ reconciledAt }: Application, now: string, everyMs: number): boolean {
  const age = ageOf(reconciledAt, now);
  return age !== undefined && age <= Math.max(3 * everyMs, 30 * 60_000);
}

/** Milliseconds between two times of one clock, 0 where the first is later; undefined where one is not known. */
function ageOf(past: string, now: string): number | undefined {
  const age = Date.parse(now) - Date.parse(past);
  return Number.isNaN(age) ? undefined : Math.max(0, age);
}

function iso(milliseconds: number): string {
  return new Date(Math.max(0, milliseconds)).toISOString();
}
