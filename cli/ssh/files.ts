/**
 * The OpenSSH configuration of one command: for each device that is asked for an `ssh -F` file and its pinned key, as the
 * dial of a run has them, in a private folder that ends with the command. Behind a jump host all share its one connection.
 */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  hostConfig,
  jumpConfig,
  jumpName,
  knownHostsLine,
  type SshEndpoint,
  type SshFolders,
  type SshTarget,
  targetOf,
} from "../../components/device/ssh.ts";
import type { Profile } from "../../components/inventory/index.ts";
import { runProgram } from "../process.ts";

/** Where a device is and how it is known. */
export type SshDevice = Pick<Profile, "id" | "host" | "ssh" | "hostKey">;

/** The files of devices. */
export interface SshFiles {
  /** Private folder, for what else a command needs only while it runs. */
  readonly folder: string;
  /** Writes what a connection to a device needs. @returns path for `ssh -F`, in which the device's id is the host's name */
  configOf(device: SshDevice): string;
  /** Path of the file with the device's host key. */
  knownHostsOf(device: Pick<SshDevice, "id">): string;
}

const JUMP_SCRIPT = join(import.meta.dirname, "..", "..", "components", "device", "jump.sh");

/** Gives the files, for as long as their use. Nothing of them is left behind. */
export async function withSshFiles<T>(use: (files: SshFiles) => Promise<T>): Promise<T> {
  // Short, since a socket's path has at most 104 bytes, of which the system's temporary folder may take 49.
  const folder = mkdtempSync(join(tmpdir(), "ef-"));
  const folders: SshFolders = { stack: folder, sockets: folder };
  const jumps = new Set<string>();
  for (const name of ["hosts", "known_hosts", "jumps"]) mkdirSync(join(folder, name), { mode: 0o700 });
  copyFileSync(JUMP_SCRIPT, join(folder, "jump.sh"));
  try {
    return await use({
      folder,
      configOf: (device) => {
        const { proxy } = device.ssh;
        if (proxy !== undefined) writeJump(proxy, folders, jumps);
        return writeDevice(targetOf(device), folders);
      },
      knownHostsOf: ({ id }) => join(folder, "known_hosts", id),
    });
  } finally {
    await Promise.all([...jumps].map((name) => endJump(folder, name)));
    rmSync(folder, { recursive: true, force: true });
  }
}

function writeDevice(target: SshTarget, folders: SshFolders): string {
  const { id } = target;
  write(folders, "known_hosts", id, knownHostsLine(id, target));
  return write(folders, "hosts", id, hostConfig(target, folders));
}

/** Once: to write a file again empties it, while another device's connection reads it. */
function writeJump(jump: SshEndpoint, folders: SshFolders, written: Set<string>): void {
  const name = jumpName(jump);
  if (written.has(name)) return;
  written.add(name);
  write(folders, "known_hosts", name, knownHostsLine(name, jump));
  write(folders, "jumps", name, jumpConfig(jump, folders));
}

function write({ stack }: SshFolders, folder: string, name: string, text: string): string {
  const path = join(stack, folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** It would end by itself a minute later. */
async function endJump(folder: string, name: string): Promise<void> {
  await runProgram("ssh", ["-F", join(folder, "jumps", name), "-O", "exit", name], { timeoutMs: 5_000 });
}
