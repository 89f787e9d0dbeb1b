/**
 * The report over HTTP, for a browser on this very machine: the page, and when it was made, by which a page learns that there
 * is a newer one. A report is made anew while somebody looks, and not otherwise.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { UsageError } from "../exit.ts";
import type { ReportData } from "./model.ts";
import { renderReport } from "./render.ts";

/** Age from which a report that is looked at is made anew, in milliseconds. */
const FRESH_MS = 30_000;

/** What is served. */
export interface ReportServer {
  /** Where a browser finds it. */
  readonly url: string;
  /** Ends it, connections included. */
  readonly close: () => Promise<void>;
}

/** What a server works with. */
export interface ServeOptions {
  /** 0: any that is free. */
  readonly port: number;
  /** Shown first. */
  readonly first: ReportData;
  /** Makes another one; may reject, and is never called twice at a time. */
  readonly make: () => Promise<ReportData>;
  /** Age from which it is made anew, in milliseconds. Default 30 s. */
  readonly freshMs?: number;
}

/**
 * Serves on 127.0.0.1 alone.
 * @throws UsageError when the port is taken, or none
 */
export async function serveReport(options: ServeOptions): Promise<ReportServer> {
  if (options.port > 65_535)
    throw new UsageError(`${options.port} is no port - give --serve one from 1 to 65535, or none`);
  const source = new LiveReport(options);
  const server = createServer((request, response) => answer(request, response, source));
  await listen(server, options.port);
  const { port } = server.address() as AddressInfo;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://127.0.0.1:${port}/`, close };
}

/** The newest report, and why there is none that is newer. */
class LiveReport {
  readonly #make: () => Promise<ReportData>;
  readonly #freshMs: number;
  #data: ReportData;
  #problem = "";
  #tried = Date.now();
  #atWork = false;

  constructor({ first, make, freshMs = FRESH_MS }: ServeOptions) {
    this.#data = first;
    this.#make = make;
    this.#freshMs = freshMs;
  }

  get data(): ReportData {
    return this.#data;
  }

  /** Answers at once, and begins another report where this one is old. */
  ask(): { readonly madeAt: string; readonly problem: string } {
    if (!this.#atWork && Date.now() - this.#tried >= this.#freshMs) this.#renew();
    return { madeAt: this.#data.madeAt, problem: this.#problem };
  }

  #renew(): void {
    this.#atWork = true;
    this.#make()
      .then((data) => {
        this.#data = data;
        this.#problem = "";
      })
      .catch((error: Error) => {
        this.#problem = error.message;
      })
      .finally(() => {
        this.#tried = Date.now();
        this.#atWork = false;
      });
  }
}

function answer({ method, url, headers }: IncomingMessage, response: ServerResponse, source: LiveReport): void {
  const send = (status: number, type: string, body: string): void => {
    response.writeHead(status, {
      "content-type": `${type}; charset=utf-8`,
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    });
    response.end(method === "HEAD" ? undefined : body);
  };
  // Another name for this address: a page of somebody else that would read the report through the reader's browser.
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(headers.host ?? ""))
    send(403, "text/plain", "use the address that edge-fleet printed\n");
  else if (method !== "GET" && method !== "HEAD") send(405, "text/plain", "use GET\n");
  else if (url === "/made-at") send(200, "application/json", JSON.stringify(source.ask()));
  else if (url === "/") send(200, "text/html", renderReport(source.data, { live: true }));
  else send(404, "text/plain", "use /\n");
}

async function listen(server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      reject(
        error.code === "EADDRINUSE" || error.code === "EACCES"
          ? new UsageError(`port ${port} cannot be used: ${error.code} - give another one to --serve, or none`)
          : error,
      ),
    );
    server.listen(port, "127.0.0.1", resolve);
  });
}
