/**
 * Ctrl-C as an abort signal: the first one asks the work to stop so that what is done can be saved, the second one ends
 * the process.
 */

/** Runs work with a signal that aborts on SIGINT and SIGTERM. */
export async function withInterrupt<T>(notice: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(130);
    process.stderr.write(`\n${notice}\n`);
    controller.abort();
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    return await work(controller.signal);
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}
