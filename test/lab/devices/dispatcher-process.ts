/**
 * The dispatcher process: hands a TCP connection to the OpenSSH server of the device whose address was dialled. The
 * connection itself becomes the standard input and output of `sshd -i`, so no byte of it passes through Node.js.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { openSync, writeSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import type { DispatcherOptions, Endpoint, Order, Report } from "./dispatcher.ts";
import type { Silence } from "./types.ts";

const BACKLOG = 4096;
const endpoints = new Map<string, Endpoint>();
const silentSockets = new Map<string, Socket[]>();
const servers = new Set<ChildProcess>();

function report(message: Report): void {
  process.send?.(message);
}

function listen(options: DispatcherOptions): void {
  for (const endpoint of options.endpoints) endpoints.set(endpoint.address, endpoint);
  const log = openSync(options.logPath, "a", 0o600);
  const connections = openSync(options.connectionsPath, "a", 0o600);
  const server = createServer({ pauseOnConnect: true }, (socket) => {
    socket.on("error", () => socket.destroy());
    const endpoint = endpoints.get(socket.localAddress ?? "");
    if (endpoint === undefined) socket.destroy();
    else if (endpoint.silence !== undefined) keepSilent(endpoint, socket);
    else {
      writeSync(connections, `${endpoint.address}\n`);
      serve(endpoint, socket, options.sshdConfig, log);
    }
  });
  server.on("error", (error) => report({ type: "failed", message: error.message }));
  server.listen({ host: "0.0.0.0", port: options.port, backlog: BACKLOG }, () => report({ type: "ready" }));
}

function keepSilent({ address, silence }: Endpoint, socket: Socket): void {
  silentSockets.set(address, [...(silentSockets.get(address) ?? []), socket]);
  if (silence === "mute") socket.write("SSH-2.0-OpenSSH_9.2p1\r\n");
}

function serve(endpoint: Endpoint, socket: Socket, sshdConfig: string, log: number): void {
  const sshd = ["/usr/sbin/sshd", "-i", "-e", "-f", sshdConfig, "-h", endpoint.hostKey];
  const network = endpoint.network === undefined ? [] : [`--net=${endpoint.network}`];
  const args = [`--uts=${endpoint.hostName}`, ...network, ...sshd, "-o", `ChrootDirectory=${endpoint.root}`];
  const child = spawn("nsenter", args, { stdio: [socket, socket, log] });
  servers.add(child);
  child.on("exit", () => servers.delete(child));
  child.on("error", (error) => {
    servers.delete(child);
    writeSync(log, `dispatcher: cannot start an SSH server for ${endpoint.address}: ${error.message}\n`);
  });
  socket.destroy();
}

function setSilence(address: string, silence: Silence | undefined): void {
  const endpoint = endpoints.get(address);
  if (endpoint !== undefined) endpoints.set(address, { ...endpoint, silence });
  if (silence !== undefined) return;
  for (const socket of silentSockets.get(address) ?? []) socket.destroy();
  silentSockets.delete(address);
}

process.on("message", (order: Order) => {
  if (order.type === "start") return listen(order.options);
  setSilence(order.address, order.silence);
  report({ type: "done", sequence: order.sequence });
});

process.on("disconnect", () => {
  for (const child of servers) child.kill("SIGKILL");
  process.exit(0);
});
