/** Examines one device over one SSH connection: from its address and the script to an outcome. */
import { runProgram } from "../process.ts";
import { sshArguments } from "../ssh/arguments.ts";
import { withSshConnection } from "../ssh/connection.ts";
import { type DoctorOutcome, judgeExamination } from "./outcome.ts";
import { type Examination, examinationScript } from "./script.ts";

/** How connections are bounded. */
export interface ConnectOptions {
  /** Milliseconds for one device, all told. Default 30,000. */
  readonly timeoutMs: number;
  /** Ends connections when it aborts. */
  readonly signal?: AbortSignal;
}

/** Examines one device. Never rejects for what the device does. */
export async function examineDevice(examination: Examination, options: ConnectOptions): Promise<DoctorOutcome> {
  const { profile } = examination;
  const { id, hostKey: pinned } = profile;
  return withSshConnection(profile, pinned, async (connection) => {
    const { command, stdin } = examinationScript(examination, Math.round(Date.now() / 1000));
    const { timeoutMs, signal } = options;
    const args = sshArguments(connection, command);
    const result = await runProgram("ssh", args, { stdin, timeoutMs, ...(signal === undefined ? {} : { signal }) });
    return judgeExamination(id, pinned, result);
  });
}
