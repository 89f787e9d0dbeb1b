/** A tunnel over SSH to a port that a device alone can reach. It ends with its use, and where this process is killed too. */
import { createServer } from "node:net";
import { attachSsh, type SshSessionEnd } from "../ssh/attach.ts";
import type { SshDevice, SshFiles } from "../ssh/files.ts";
import { BEGIN, remoteCommand } from "../ssh/run.ts";
import { linesAfter } from "./lines.ts";

/** How a tunnel is asked for. */
export interface TunnelRequest {
  readonly device: SshDevice;
  /** Port on 127.0.0.1 of this machine. */
  readonly port: number;
  /** `<host>:<port>` as the device sees it. */
  readonly to: string;
}

/** What a use of a tunnel came to: its own result, or how the tunnel ended before or while it was used. */
export type TunnelEnd<T> = { readonly result: T } | { readonly lost: SshSessionEnd };

/**
 * Opens a tunnel for as long as its use.
 * @param use called once connections go through; the signal aborts when the tunnel is lost
 */
export async function withTunnel<T>(
  files: SshFiles,
  { device, port, to }: TunnelRequest,
  use: (signal: AbortSignal) => Promise<T>,
): Promise<TunnelEnd<T>> {
  const closing = new AbortController();
  const lost = new AbortController();
  const ready = Promise.withResolvers<void>();
  // On the device nothing runs but a wait for the end of its stdin, which is the end of this process.
  const session = attachSsh(files, {
    device,
    options: ["-T", "-oExitOnForwardFailure=yes", "-L", `127.0.0.1:${port}:${to}`],
    command: remoteCommand("echo; exec cat"),
    stdin: { text: "\n", held: true },
    stdout: linesAfter(BEGIN, () => ready.resolve()),
    session: true,
    signal: closing.signal,
  });
  const ended = session.then((end) => {
    lost.abort();
    return { lost: end } as const;
  });
  const first = await Promise.race([ready.promise, ended]);
  if (first !== undefined) return first;
  try {
    const result = await use(lost.signal);
    return lost.signal.aborted ? await ended : { result };
  } finally {
    closing.abort();
    await ended;
  }
}

/** A port of 127.0.0.1 that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
      .on("error", reject)
      .listen(0, "127.0.0.1", () => {
        const address = probe.address();
        const port = typeof address === "object" ? address?.port : undefined;
        probe.close(() => (port === undefined ? reject(new Error("no free port on 127.0.0.1")) : resolve(port)));
      });
  });
}
