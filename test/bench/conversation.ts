/**
 * What a dial says, without the dial: files for `xargs ssh`, with the same remote command and the same bytes on stdin
 * that dial.sh sends. The yardstick for what the engine and the dial add.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openDialFolder, writeDialFiles } from "../../components/device/folder.ts";
import { deviceProgram, packText } from "../../components/device/program.ts";
import { targetOf } from "../../components/device/ssh.ts";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import { type CommandResult, runCommand } from "../lab/run-command.ts";
import { type WantedDevice, wantedDevices } from "./bench-fleet.ts";

const DIAL = join(import.meta.dirname, "../../components/device/dial.sh");

/** One line of `xargs` is one device. A code of 255 would end `xargs`. */
const LOOP = `cd "$1" && xargs -P 64 -n 1 sh -c 'ssh -F "../../hosts/$0" -T -o ClearAllForwardings=yes -- "$0" "$(cat command)" \
<"stdin/$0" >"answer/$0" 2>/dev/null || exit 1' <devices`;

/** Which devices have the device program, so that it is not sent. */
export type Program = "sent" | "installed";

/**
 * Writes the files of all devices of the region into its dials' folder.
 * @returns the folder
 */
export function writeConversations(fleet: LabFleet, program: Program): string {
  process.chdir(fleet.path("."));
  const folders = openDialFolder(REGION, deviceProgram());
  const folder = join(folders.stack, "work/loop");
  for (const name of ["stdin", "answer"]) mkdirSync(join(folder, name), { recursive: true });
  const devices = wantedDevices(fleet);
  for (const { profile, plan } of devices) {
    writeDialFiles(folders, { target: targetOf(profile), held: undefined, payload: plan.payload });
    writeFileSync(join(folder, "stdin", profile.id), conversation(plan, program));
  }
  writeFileSync(join(folder, "command"), remoteCommand());
  writeFileSync(join(folder, "devices"), devices.map(({ profile }) => `${profile.id}\n`).join(""));
  return folder;
}

/** Runs `xargs -P 64 ssh` with the files of a folder. */
export function runLoop(fleet: LabFleet, folder: string): Promise<CommandResult> {
  return runCommand("sh", ["-c", LOOP, "sh", folder], { cwd: folder, env: fleet.env });
}

/** Ids of the devices that answered in the loop that they are applied. */
export function appliedInLoop(fleet: LabFleet, folder: string): string[] {
  const answer = (id: string) => readFileSync(join(folder, "answer", id), "utf8");
  return wantedDevices(fleet).flatMap(({ plan }) => (answer(plan.id).includes('"result":"applied"') ? [plan.id] : []));
}

function conversation({ payload, secretFiles }: WantedDevice["plan"], program: Program): string {
  const { text, sha256 } = deviceProgram();
  const first = program === "installed" ? "serve\n" : `program ${sha256}\n${packText(text)}\n.\n`;
  return `${first}apply\n${packText(`${payload.body}${secretFiles}end\n`)}\n.\n`;
}

/** What dial.sh runs on the device, put together as it does. */
function remoteCommand(): string {
  const script = readFileSync(DIAL, "utf8");
  const find = (pattern: RegExp) => pattern.exec(script)?.[1] ?? fail(pattern.source);
  const text = (name: string) => find(new RegExp(`^${name}='(.*)'$`, "m"));
  const command = find(/ -- "\$ID" "(.*)" \\$/m);
  return command.replace(/\$(AS_ROOT|FIRST)/g, (_, name: string) => text(name));
}

function fail(name: string): never {
  throw new Error(`bench: ${DIAL} has no ${name}`);
}
