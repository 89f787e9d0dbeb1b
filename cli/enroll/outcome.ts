/**
 * What enrolling one device came to, by its inventory entry, the end of its SSH connection and the host key that the
 * connection used. What a device says is checked like any other foreign input.
 */
import { z } from "zod";
import type { SshFailure } from "../../components/device/failure.ts";
import type { DeviceRecord, Profile } from "../../components/inventory/index.ts";
import type { DeviceFacts, LockedDevice } from "../../components/inventory/lock-schema.ts";
import { PublicKeySchema } from "../../components/inventory/schema.ts";
import { type Bracket, clockFinding } from "../ssh/clock.ts";
import { fingerprintOf } from "../ssh/keys.ts";
import { explainAnswer, type SshAnswer } from "../ssh/run.ts";
import { printable } from "../terminal.ts";

/** What goes into the region's lock. */
export interface Enrollment extends LockedDevice {
  readonly identityKey: string;
  readonly facts: DeviceFacts;
}

/** A device that answered as it should. */
export interface EnrolledOutcome {
  readonly id: string;
  readonly state: "enrolled";
  readonly enrollment: Enrollment;
  /** Of the host key. */
  readonly fingerprint: string;
  /** Of the host key that the inventory had before, when it is another one. */
  readonly replacedFingerprint: string | undefined;
  /** What is wrong with its clock, and the fix. No certificate is made by an enrollment, so it is only a warning. */
  readonly clock: string | undefined;
}

/** A device of which the lock has both keys already. */
export interface AlreadyOutcome {
  readonly id: string;
  readonly state: "already";
  readonly fingerprint: string;
}

/** A device that is not enrolled. */
export interface FailedOutcome extends SshFailure {
  readonly id: string;
  /** Of the host key that the device offered. */
  readonly fingerprint: string | undefined;
}

/** What became of one device. */
export type Outcome = EnrolledOutcome | AlreadyOutcome | FailedOutcome;

/** What the classification needs to know about a device. */
export interface Candidate {
  readonly record: DeviceRecord;
  readonly profile: Profile;
  /** Its pinned keys may be replaced. */
  readonly acceptNewKey: boolean;
}

const AnswerSchema = z.object({
  edgeFleet: z.literal(1),
  identityKey: PublicKeySchema.startsWith("ecdsa-sha2-nistp256 ").max(300),
  architecture: z.string().max(128),
  memoryMiB: z.int().positive(),
  os: z.string().max(128),
  kernel: z.string().max(128),
  machineId: z.string().regex(/^([0-9a-f]{64})?$/),
  time: z.int().nonnegative().max(1e12),
});

/**
 * Classifies one connection.
 * @param result how it ended, with the host key that it used
 * @param asked when the device can have told its time; the end is also `enrolledAt`
 */
export function classifyConnection(
  candidate: Candidate,
  result: SshAnswer,
  asked: Bracket,
): EnrolledOutcome | FailedOutcome {
  const { record, profile, acceptNewKey } = candidate;
  const { id, hostKey: pinned, identityKey: known } = record.entry;
  const answer = result.exitCode === 0 && result.ended === undefined ? parseAnswer(result.stdout) : undefined;
  const { hostKey: usedHostKey } = result;
  if (answer === undefined || usedHostKey === undefined) return failed(candidate, result);
  const fingerprint = fingerprintOf(usedHostKey);
  const fail = (code: string, reason: string): FailedOutcome => ({ id, state: "failed", code, reason, fingerprint });
  if (answer.architecture !== profile.architecture) {
    return fail(
      "architecture",
      `the device is ${printable(answer.architecture, 40)}, its model ${profile.model} is ${profile.architecture} - give it another model`,
    );
  }
  if (known !== undefined && known !== answer.identityKey && !acceptNewKey) {
    return fail(
      "identity-key-changed",
      `identity key is ${fingerprintOf(answer.identityKey)}, the lock has ${fingerprintOf(known)} - if the device was set up anew, use --accept-new-key ${id}`,
    );
  }
  return {
    id,
    state: "enrolled",
    enrollment: {
      hostKey: usedHostKey,
      identityKey: answer.identityKey,
      facts: factsOf(answer, profile.architecture, new Date(asked.after * 1000).toISOString()),
    },
    fingerprint,
    replacedFingerprint: pinned !== undefined && pinned !== usedHostKey ? fingerprintOf(pinned) : undefined,
    clock: clockFinding(answer.time, asked),
  };
}

/** The last line of the output that is the script's answer: log-in shells may print lines of their own before. */
export function parseAnswer(stdout: string): z.infer<typeof AnswerSchema> | undefined {
  const line = stdout.split("\n").findLast((text) => text.startsWith('{"edgeFleet":'));
  if (line === undefined) return undefined;
  try {
    return AnswerSchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

function failed({ record: { entry }, acceptNewKey }: Candidate, result: SshAnswer): FailedOutcome {
  const { state, code, reason, offered } = explainAnswer(result);
  const trusted = entry.hostKey === undefined || acceptNewKey ? result.hostKey : undefined;
  return {
    ...{ id: entry.id, state, code, reason },
    fingerprint: offered ?? (trusted === undefined ? undefined : fingerprintOf(trusted)),
  };
}

function factsOf(
  answer: z.infer<typeof AnswerSchema>,
  architecture: Profile["architecture"],
  now: string,
): DeviceFacts {
  const { memoryMiB, machineId } = answer;
  const os = printable(answer.os, 128);
  const kernel = printable(answer.kernel, 128);
  return {
    architecture,
    memoryMiB,
    ...(os === "" ? {} : { os }),
    ...(kernel === "" ? {} : { kernel }),
    ...(machineId === "" ? {} : { machineId }),
    enrolledAt: now,
  };
}
