/**
 * A real Git server on loopback: `git http-backend` behind a small CGI host, from a folder of bare repositories to the
 * smart HTTP protocol (https://git-scm.com/docs/git-http-backend). It can stop and come back under the same address, as
 * a server does that a device cannot reach for a while.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A running Git server. */
export interface GitServer {
  /** `http://127.0.0.1:<port>`; a repository is at `<url>/<name>.git`. */
  readonly url: string;
  /** Stops answering: connections are refused from now on. */
  stop(): Promise<void>;
  /** Answers again, at the same address. */
  start(): Promise<void>;
}

/**
 * Serves the bare repositories of a folder, for reading, without a log-in.
 * @param directory holds `<name>.git` folders
 */
export async function startGitServer(directory: string): Promise<GitServer> {
  let server = await listen(directory, 0);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    stop: async () => {
      if (!server.listening) return;
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
    start: async () => {
      if (!server.listening) server = await listen(directory, port);
    },
  };
}

async function listen(directory: string, port: number): Promise<Server> {
  const server = createServer((request, response) => serve(directory, request, response));
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return server;
}

function serve(directory: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://127.0.0.1");
  const header = (name: string) => String(request.headers[name] ?? "");
  const backend = spawn("git", ["http-backend"], {
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      PATH: process.env.PATH,
      GIT_PROJECT_ROOT: directory,
      GIT_HTTP_EXPORT_ALL: "1",
      PATH_INFO: decodeURIComponent(pathname),
      QUERY_STRING: searchParams.toString(),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: header("content-type"),
      CONTENT_LENGTH: header("content-length"),
      HTTP_CONTENT_ENCODING: header("content-encoding"),
      GIT_PROTOCOL: header("git-protocol"),
      REMOTE_ADDR: "127.0.0.1",
      // The owner of the folder may be another user than the one who runs the tests as root.
      GIT_CONFIG_COUNT: "1",
      GIT_CONFIG_KEY_0: "safe.directory",
      GIT_CONFIG_VALUE_0: "*",
    },
  });
  backend.stdin.on("error", () => {});
  request.pipe(backend.stdin);
  answer(backend.stdout, response);
}

/** Turns what a CGI program prints (RFC 3875 section 6) into a response. */
function answer(output: NodeJS.ReadableStream, response: ServerResponse): void {
  let head: Buffer | undefined = Buffer.alloc(0);
  output.on("data", (chunk: Buffer) => {
    if (head === undefined) {
      response.write(chunk);
      return;
    }
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    const lines = head.subarray(0, end).toString("utf8").split("\r\n");
    const headers = lines.map((line) => line.split(/:\s*(.*)/s).slice(0, 2) as [string, string]);
    const status = headers.find(([name]) => name.toLowerCase() === "status")?.[1];
    response.writeHead(
      Number.parseInt(status ?? "200", 10),
      Object.fromEntries(headers.filter(([name]) => name.toLowerCase() !== "status")),
    );
    response.write(head.subarray(end + 4));
    head = undefined;
  });
  output.once("end", () => {
    if (head !== undefined) response.writeHead(502);
    response.end();
  });
}
