/**
 * Keeps a machine running to look at: `node test/lab/machines/run.ts [--openrc] [-- command args…]`. Logs in as root
 * through SSH, or runs the command there; the machine ends with it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { parseArgs } from "node:util";
import { insideNamespaces } from "../namespace.ts";
import { LAB_PACKAGES } from "../prerequisites.ts";
import { ensureDebianPackages } from "../toolchain/debian.ts";
import { enterMachines, Machine } from "./index.ts";
import { networkArguments, sshArguments } from "./plan.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { openrc: { type: "boolean", default: false } },
});
const init = values.openrc ? "openrc" : "systemd";
if (!insideNamespaces()) await ensureDebianPackages((line) => process.stderr.write(`${line}\n`), LAB_PACKAGES);
await enterMachines([init]);

const started = performance.now();
const machine = await Machine.start({ id: "edge-0001", init });
process.stderr.write(`lab: ${machine.id} with ${init} after ${Math.round(performance.now() - started)} ms\n`);
// The client gets these signals itself, as a member of the same process group; the machine ends after it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => undefined);
const terminal = positionals.length === 0 ? ["-t"] : [];
const client = [
  "ssh",
  ...terminal,
  ...sshArguments(machine.id, "root").filter((word) => word !== "-T"),
  ...positionals,
];
const [code] = await once(spawn("nsenter", networkArguments(machine.leader, client), { stdio: "inherit" }), "exit");
await machine.stop();
process.exitCode = code ?? 1;
