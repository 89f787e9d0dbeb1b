/**
 * Runs a command beside running devices: `node test/lab/devices/run.ts [--devices N] [--arm64] [-- command args…]`. The
 * command (default: an interactive shell) finds SSH_AUTH_SOCK, EDGE_FLEET_LAB_DEVICES (a file: JSON list of the devices)
 * and EDGE_FLEET_LAB_KNOWN_HOSTS (a file) in its environment; the lab ends with it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { enterNamespaces } from "../namespace.ts";
import { knownHostsLine } from "./client.ts";
import { startDevices } from "./lab.ts";

await enterNamespaces();

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { devices: { type: "string", default: "3" }, arm64: { type: "boolean", default: false } },
});
const architecture = values.arm64 ? ("arm64" as const) : ("amd64" as const);
// In memory: after SIGKILL no key stays on disk.
const directory = mkdtempSync("/run/edge-fleet-devices-");
const started = performance.now();
const requests = Array.from({ length: Number(values.devices) }, (_, index) => ({
  id: `device-${index + 1}`,
  architecture,
}));
const lab = await startDevices({ directory, devices: requests });
console.error(`lab: ${lab.devices.length} devices after ${Math.round(performance.now() - started)} ms`);

const deviceList = join(directory, "devices.json");
writeFileSync(deviceList, JSON.stringify(lab.devices));
const knownHosts = join(directory, "known_hosts");
writeFileSync(knownHosts, lab.devices.map(knownHostsLine).join(""));
const [command = process.env.SHELL ?? "/bin/sh", ...args] = positionals;
const env = {
  ...process.env,
  SSH_AUTH_SOCK: lab.agentSocket,
  EDGE_FLEET_LAB_DEVICES: deviceList,
  EDGE_FLEET_LAB_KNOWN_HOSTS: knownHosts,
};
// The command gets these signals itself, as a member of the same process group; the lab ends after it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
const child = spawn(command, args, { stdio: "inherit", env });
const [code] = await once(child, "exit");
await lab.stop();
process.exitCode = code ?? 1;
