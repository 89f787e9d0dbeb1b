/**
 * Artifact server of the lab: serves the binaries of a folder to devices over HTTP, with the faults of real networks on
 * demand (a slow link, a transfer that breaks off). Serves GET and HEAD with one byte range (RFC 9110 section 14), no
 * directory listings and nothing outside the folder.
 */
import { once } from "node:events";
import { createReadStream, type Stats, statSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join, normalize } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const PACED_CHUNK = 16 * 1024;

/** One answered request. */
export interface ArtifactRequest {
  /** Path of the URL, decoded. */
  readonly path: string;
  /** The Range header, where one was sent. */
  readonly range?: string;
  /** Body bytes handed to the network so far. */
  readonly bytes: number;
}

/** A running artifact server. */
export interface ArtifactServer {
  /** Base URL without a trailing slash. */
  readonly url: string;
  /** Requests since the start, oldest first. */
  requests(): readonly ArtifactRequest[];
  /** Limits each transfer that starts from now on, in bytes per second; `undefined` lifts the limit. */
  setBandwidth(bytesPerSecond: number | undefined): void;
  /** Breaks the connection in the middle of the next transfer of this path, once. */
  truncateNext(path: string): void;
  /** Ends all transfers and the server. */
  stop(): Promise<void>;
}

/** What the server needs. */
export interface ArtifactServerOptions {
  /** Folder to serve. */
  readonly directory: string;
  /** Address to listen on. Default: 127.0.0.1, which every device of the lab reaches. */
  readonly address?: string;
  /** TCP port. Default: 0, a free one. */
  readonly port?: number;
}

/** First and last byte of a transfer, both included. */
export interface ByteRange {
  /** First byte. */
  readonly first: number;
  /** Last byte. */
  readonly last: number;
}

/**
 * Reads a Range header.
 * @param header its value; `undefined` and forms other than one byte range mean the whole file, as RFC 9110 allows
 * @param size size of the file in bytes
 * @returns the range, `whole`, or `unsatisfiable` (status 416)
 */
export function parseRange(header: string | undefined, size: number): ByteRange | "whole" | "unsatisfiable" {
  const match = /^bytes=(\d*)-(\d*)$/.exec(header ?? "");
  const [, from = "", to = ""] = match ?? [];
  if (from === "" && to === "") return "whole";
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (from !== "" && to !== "" && Number(to) < first) return "whole";
  return first > last ? "unsatisfiable" : { first, last };
}

/**
 * Starts the server and waits until it listens.
 * @throws Error when the address or port cannot be used
 */
export async function startArtifactServer(options: ArtifactServerOptions): Promise<ArtifactServer> {
  const folder = new ArtifactFolder(options.directory);
  const server = createServer((request, response) => {
    folder.answer(request, response).catch((error: Error) => response.destroy(error));
    response.on("error", () => response.destroy());
  });
  server.listen(options.port ?? 0, options.address ?? "127.0.0.1");
  await once(server, "listening");
  const { address, port } = server.address() as AddressInfo;
  return {
    url: `http://${address}:${port}`,
    requests: () => folder.log.map((entry) => ({ ...entry })),
    setBandwidth: (bytesPerSecond) => {
      folder.bandwidth = bytesPerSecond;
    },
    truncateNext: (path) => void folder.truncated.add(path),
    stop: () => close(server),
  };
}

class ArtifactFolder {
  readonly log: { path: string; range?: string; bytes: number }[] = [];
  readonly truncated = new Set<string>();
  bandwidth: number | undefined;
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = requestPath(request);
    const range = request.headers.range;
    const entry = { path, ...(range === undefined ? {} : { range }), bytes: 0 };
    this.log.push(entry);
    const file = join(this.#directory, path);
    const status = request.method === "GET" || request.method === "HEAD" ? fileStatus(file) : undefined;
    if (status === undefined)
      return endWith(response, request.method === "GET" || request.method === "HEAD" ? 404 : 405);
    const wanted = parseRange(range, status.size);
    if (wanted === "unsatisfiable") return endWith(response, 416, { "Content-Range": `bytes */${status.size}` });
    const part = wanted === "whole" ? { first: 0, last: status.size - 1 } : wanted;
    const length = part.last - part.first + 1;
    const headers = { "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream", "Content-Length": length };
    const position = wanted === "whole" ? {} : { "Content-Range": `bytes ${part.first}-${part.last}/${status.size}` };
    response.writeHead(wanted === "whole" ? 200 : 206, { ...headers, ...position });
    if (request.method === "HEAD" || length === 0) return void response.end();
    const broken = this.truncated.delete(path);
    const end = broken ? part.first + Math.floor(length / 2) - 1 : part.last;
    if (end >= part.first) await this.#send(file, { first: part.first, last: end }, response, entry);
    if (broken) response.destroy();
    else response.end();
  }

  /** Sends bytes, each chunk after the one before has left for the kernel, so that a break comes after its bytes. */
  async #send(file: string, range: ByteRange, response: ServerResponse, entry: { bytes: number }): Promise<void> {
    const bandwidth = this.bandwidth;
    const pace = bandwidth === undefined ? {} : { highWaterMark: Math.min(PACED_CHUNK, Math.max(1, bandwidth)) };
    const closed = new Promise<void>((resolve) => response.once("close", resolve));
    for await (const chunk of createReadStream(file, { start: range.first, end: range.last, ...pace })) {
      const { length } = chunk as Buffer;
      await Promise.race([new Promise((resolve) => response.write(chunk, resolve)), closed]);
      if (response.destroyed) return;
      entry.bytes += length;
      if (bandwidth !== undefined) await sleep((length / bandwidth) * 1000);
    }
  }
}

function requestPath(request: IncomingMessage): string {
  try {
    return normalize(decodeURIComponent(new URL(request.url ?? "/", "http://lab").pathname));
  } catch {
    return "/";
  }
}

function fileStatus(file: string): Stats | undefined {
  const status = statSync(file, { throwIfNoEntry: false });
  return status?.isFile() === true ? status : undefined;
}

function endWith(response: ServerResponse, status: number, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { "Content-Length": 0, ...headers }).end();
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
