/**
 * A real Git server of the lab: `git http-backend` behind a small CGI host serves a folder of bare repositories over
 * the smart HTTP protocol (https://git-scm.com/docs/git-http-backend), with or without TLS under an authority of its
 * own and a log-in; or OpenSSH's server with `git-shell` behind it (git-ssh.ts). It can stop and come back under the
 * same address, as a server does that a device cannot reach for a while, and counts what it is asked.
 */
import { spawn } from "node:child_process";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { issueCertificate } from "./certificate.ts";
import { startSshGitServer } from "./git-ssh.ts";
import { type GitTraffic, Meter } from "./git-traffic.ts";
import { listenOn } from "./listener.ts";

/** Who may read. Over SSH it is the public key of a deploy key, `ssh-ed25519 AAAA…`. */
export interface GitLogin {
  /** Default: any. */
  readonly username?: string;
  /** Password or token. */
  readonly password?: string;
  /** Deploy key. */
  readonly publicKey?: string;
}

/** How a server is reached. */
export interface GitServerOptions {
  /** Default: http. */
  readonly protocol?: "http" | "https" | "ssh";
  /** Address to listen on. Default: 127.0.0.1. */
  readonly address?: string;
  /** Who may read. Default: everybody; over SSH nobody. */
  readonly login?: GitLogin;
}

/** A running Git server. */
export interface GitServer {
  /** `http://127.0.0.1:<port>`; a repository is at `<url>/<name>.git`. */
  readonly url: string;
  /** Certificate of the authority behind https, PEM. */
  readonly authority?: string;
  /** Line for a known_hosts file, over ssh. */
  readonly knownHost?: string;
  /** Another host key, which the next connection gets, over ssh. */
  newHostKey?(): void;
  /** Changes who may read, from the next request on. */
  setLogin(login: GitLogin): void;
  /** What it was asked since the start or the last reset. */
  traffic(): GitTraffic;
  /** Sets all counts to zero. */
  resetTraffic(): void;
  /** Stops answering: connections are refused from now on. */
  stop(): Promise<void>;
  /** Answers again, at the same address. */
  start(): Promise<void>;
}

/**
 * Serves the bare repositories of a folder, for reading.
 * @param directory holds `<name>.git` folders
 */
export async function startGitServer(directory: string, options: GitServerOptions = {}): Promise<GitServer> {
  if (options.protocol === "ssh") return startSshGitServer(directory, options);
  const address = options.address ?? "127.0.0.1";
  const tls = options.protocol === "https" ? issueCertificate(address) : undefined;
  const meter = new Meter();
  let login = options.login ?? {};
  const answerTo = (request: IncomingMessage, response: ServerResponse) => {
    meter.requests++;
    if (isAllowed(request, login)) serve(directory, request, response);
    else response.writeHead(401, { "WWW-Authenticate": 'Basic realm="git"' }).end();
  };
  const make = (): Server => {
    const server = tls === undefined ? createServer(answerTo) : createTlsServer(tls, answerTo);
    return server.on("connection", (socket) => meter.count(socket));
  };
  const { port, stop, start } = await listenOn(address, make, (server) => server.closeAllConnections());
  return {
    url: `${tls === undefined ? "http" : "https"}://${address}:${port}`,
    ...(tls === undefined ? {} : { authority: tls.authority }),
    setLogin: (changed) => {
      login = changed;
    },
    traffic: () => meter.traffic(),
    resetTraffic: () => meter.reset(),
    stop,
    start,
  };
}

function isAllowed(request: IncomingMessage, { username, password }: GitLogin): boolean {
  if (password === undefined) return true;
  const [, encoded = ""] = /^Basic (.+)$/.exec(request.headers.authorization ?? "") ?? [];
  const [, name = "", word = ""] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded, "base64").toString()) ?? [];
  return word === password && (username === undefined || name === username);
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
