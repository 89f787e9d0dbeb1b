/**
 * The folder that dials work from, `.edge-fleet/<stack>` beside Pulumi.yaml: for each device an `ssh -F` file and its pinned
 * key, and what it is sent. Made anew from the inventory in every run that dials, private to the user, and safe to delete.
 */

import { createHash } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { type DeviceProgram, packText } from "./program.ts";
import { hostConfig, jumpConfig, jumpName, knownHostsLine, type SshFolders, type SshTarget } from "./ssh.ts";

/** Folder of all stacks, relative to the project's. */
export const DIAL_FOLDER = ".edge-fleet";

/** Folder of artifacts that dials send, relative to the project's: one file per SHA-256, for all stacks. */
export const ARTIFACTS_FOLDER = `${DIAL_FOLDER}/artifacts`;

const SCRIPTS = ["dial.sh", "jump.sh"];

/** What a run leaves for its dials; the next run starts without it. */
const OF_ONE_RUN = ["held", "payloads", "results", "work"];

/** What a device is and why it is not dialled in this run, or what it is sent. */
export interface DialFiles {
  readonly target: SshTarget;
  /** Why it is not dialled. Undefined: it may be. */
  readonly held: string | undefined;
  /** What it is sent. Undefined: nothing. */
  readonly payload: { readonly digest: string; readonly body: string } | undefined;
}

/** Shell command that dials, see dial.sh: the same on every machine. */
export function dialCommand(stack: string): string {
  return `exec sh ${DIAL_FOLDER}/${stack}/dial.sh`;
}

const opened = new Map<string, SshFolders>();

/**
 * Makes the folder of a stack ready for a run, once in it.
 * @returns its path and that of the sockets, absolute
 */
export function openDialFolder(stack: string, program: DeviceProgram): SshFolders {
  const known = opened.get(stack);
  if (known !== undefined) return known;
  const folders = makeFolders(stack, program);
  opened.set(stack, folders);
  return folders;
}

function makeFolders(stack: string, program: DeviceProgram): SshFolders {
  const folder = resolve(DIAL_FOLDER, stack);
  for (const name of OF_ONE_RUN) rmSync(join(folder, name), { recursive: true, force: true });
  for (const name of [...OF_ONE_RUN, "hosts", "known_hosts", "jumps"]) makePrivate(join(folder, name));
  makePrivate(resolve(ARTIFACTS_FOLDER));
  for (const name of SCRIPTS) copyFileSync(join(import.meta.dirname, name), join(folder, name));
  write(join(folder, "program"), `${packText(program.text)}\n`);
  const digest = createHash("sha256").update(folder).digest("hex").slice(0, 12);
  const sockets = join(tmpdir(), `edge-fleet-${process.getuid?.() ?? 0}-${digest}`);
  makePrivate(sockets);
  return { stack: folder, sockets };
}

/** Writes what the dial of a device needs. */
export function writeDialFiles(folders: SshFolders, { target, held, payload }: DialFiles): void {
  const { id, jump } = target;
  const { stack } = folders;
  write(join(stack, "hosts", id), hostConfig(target, folders));
  write(join(stack, "known_hosts", id), knownHostsLine(id, target));
  if (jump !== undefined) {
    const name = jumpName(jump);
    write(join(stack, "jumps", name), jumpConfig(jump, folders));
    write(join(stack, "known_hosts", name), knownHostsLine(name, jump));
  }
  if (held !== undefined) write(join(stack, "held", id), `${held}\n`);
  if (payload !== undefined) write(join(stack, "payloads", payload.digest), payload.body);
}

/** Tells the agents of a server, whose dial may not come, that it is not applied. */
export function writeResult({ stack }: SshFolders, id: string, state: string): void {
  write(join(stack, "results", id), `${state}\n`);
}

function makePrivate(folder: string): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
}

/** Leaves a file alone that is as it should be: a run over thousands of devices changes few of them. */
function write(path: string, text: string): void {
  if (existsSync(path) && readFileSync(path, "utf8") === text) return;
  writeFileSync(path, text, { mode: 0o600 });
}
