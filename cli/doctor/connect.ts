/** Examines one device: runs the script over one SSH connection. */
import type { RunOnDevice } from "../ssh/run.ts";
import { classifyExamination, type DoctorOutcome } from "./outcome.ts";
import { type Examination, examinationScript } from "./script.ts";

/** How connections are bounded. */
export interface ConnectOptions {
  /** Milliseconds for one device, all told. Default 30,000. */
  readonly timeoutMs: number;
  /** Ends connections when it aborts. */
  readonly signal: AbortSignal;
}

/** Examines one device. Never rejects for what the device does. */
export async function examineDevice(
  run: RunOnDevice,
  examination: Examination,
  options: ConnectOptions,
): Promise<DoctorOutcome> {
  const { profile } = examination;
  const command = examinationScript(examination, Math.round(Date.now() / 1000));
  return classifyExamination(profile.id, await run(profile, { ...command, ...options }));
}
