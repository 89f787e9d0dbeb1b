/**
 * The lab's side of the dispatcher process: starts it, tells it which device is silent, stops it. The dispatcher accepts
 * for all devices on one port; it is a process of its own so that a busy test does not delay a device's answer.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Silence } from "./types.ts";

/** One device as the dispatcher sees it. */
export interface Endpoint {
  /** Local address that selects the device. */
  readonly address: string;
  /** Directory into which the SSH server changes its root. */
  readonly root: string;
  /** File that holds the device's UTS namespace. */
  readonly hostName: string;
  /** File that holds its network namespace. Undefined: it has the lab's. */
  readonly network: string | undefined;
  /** Private host key. */
  readonly hostKey: string;
  /** How it does not answer. Undefined: it does. */
  readonly silence: Silence | undefined;
}

/** What the dispatcher needs to start. */
export interface DispatcherOptions {
  /** TCP port on all addresses. */
  readonly port: number;
  /** Devices. */
  readonly endpoints: readonly Endpoint[];
  /** `sshd_config`. */
  readonly sshdConfig: string;
  /** File to which the SSH servers append their log. */
  readonly logPath: string;
  /** File to which one line, the local address, is appended before a connection is handed to an SSH server. */
  readonly connectionsPath: string;
}

/** Messages to the dispatcher. */
export type Order =
  | { readonly type: "start"; readonly options: DispatcherOptions }
  | {
      readonly type: "silence";
      readonly address: string;
      readonly silence: Silence | undefined;
      readonly sequence: number;
    };

/** Messages from the dispatcher. */
export type Report =
  | { readonly type: "ready" }
  | { readonly type: "done"; readonly sequence: number }
  | { readonly type: "failed"; readonly message: string };

/** A running dispatcher. */
export interface Dispatcher {
  /** Makes a device silent or ends that; the connections that got no answer end with it. Resolves when it is effective. */
  setSilence(address: string, silence: Silence | undefined): Promise<void>;
  /** Ends the dispatcher and the SSH servers that it started. */
  stop(): Promise<void>;
}

/**
 * Starts the dispatcher and waits until it listens.
 * @throws Error when the port is taken or the process ends
 */
export async function startDispatcher(options: DispatcherOptions): Promise<Dispatcher> {
  const child = fork(join(import.meta.dirname, "dispatcher-process.ts"), [], { execArgv: [] });
  let sequence = 0;
  const dispatcher: Dispatcher = {
    async setSilence(address, silence) {
      sequence += 1;
      await ask(child, { type: "silence", address, silence, sequence }, { type: "done", sequence });
    },
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const exited = once(child, "exit");
      if (child.connected) child.disconnect();
      await exited;
    },
  };
  try {
    await ask(child, { type: "start", options }, { type: "ready" });
  } catch (error) {
    await dispatcher.stop();
    throw error;
  }
  return dispatcher;
}

function ask(child: ChildProcess, order: Order, wanted: Report): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error) => {
      child.off("message", onMessage).off("exit", onExit);
      if (error === undefined) resolve();
      else reject(error);
    };
    const onMessage = (report: Report) => {
      if (report.type === "failed") settle(new Error(`lab: dispatcher: ${report.message}`));
      else if (JSON.stringify(report) === JSON.stringify(wanted)) settle();
    };
    const onExit = (code: number | null, signal: string | null) =>
      settle(new Error(`lab: dispatcher ended with ${signal ?? `code ${code}`}`));
    child.on("message", onMessage).once("exit", onExit);
    child.send(order);
  });
}
