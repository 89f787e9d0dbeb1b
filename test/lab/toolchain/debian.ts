/**
 * Debian packages that the lab's devices and networks need: an apt-get line for commands that are missing, which is run
 * where this process may do so and named in the error where it may not.
 */
import { execFile } from "node:child_process";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { findOnPath } from "./build.ts";
import { cached, cacheRoot } from "./cache.ts";

const execute = promisify(execFile);

/** Folders that a normal user's PATH lacks on Debian, though daemons and `ip` lie there. */
const SYSTEM_FOLDERS = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/** What stands around the decision, for tests. */
export interface Host {
  /** Folders in PATH's syntax. */
  readonly path: string;
  /** Whether this process runs as root. */
  readonly root: boolean;
  /** Runs a command; rejects when it fails. */
  readonly run: (command: string, args: readonly string[]) => Promise<void>;
}

/**
 * The packages of commands that are not there.
 * @param commands command to package, `{ sshd: "openssh-server" }`
 * @param path folders in PATH's syntax; the system folders of Debian are added
 * @returns package names, sorted, each once
 */
export function missingPackages(commands: Readonly<Record<string, string>>, path: string): string[] {
  const searched = [path, ...SYSTEM_FOLDERS].join(delimiter);
  const missing = Object.entries(commands).filter(([command]) => !findOnPath(command, searched));
  return [...new Set(missing.map(([, name]) => name))].sort();
}

/**
 * Installs the packages of commands that are not there.
 * @param report gets a line before packages are installed
 * @param commands command to package
 * @param host the machine. Default: this one
 * @throws Error naming the apt-get line when this process is not root or apt-get is missing
 */
export async function ensureDebianPackages(
  report: (line: string) => void,
  commands: Readonly<Record<string, string>>,
  host: Host = thisHost(),
): Promise<void> {
  const packages = missingPackages(commands, host.path);
  if (packages.length === 0) return;
  const install = ["install", "--yes", "--no-install-recommends", ...packages];
  if (!host.root || !findOnPath("apt-get", host.path)) {
    throw new Error(
      `packages are missing: ${packages.join(", ")} - run as root: apt-get update && apt-get ${install.join(" ")}`,
    );
  }
  report(`installing Debian packages ${packages.join(", ")}`);
  await host.run("apt-get", ["update"]);
  await host.run("apt-get", install);
  const still = missingPackages(commands, host.path);
  if (still.length > 0)
    throw new Error(`packages ${still.join(", ")} were installed, yet a command of theirs is missing`);
}

/**
 * The files of a package that this machine's release of Debian does not have, unpacked into the cache and not installed.
 * @param name of the package
 * @param suite release of Debian that has it
 * @param report gets a line before it is downloaded
 * @returns folder that stands for `/`
 * @throws Error when apt-get is missing or its mirror does not have the package
 */
export function debianFiles(name: string, suite: string, report: (line: string) => void): Promise<string> {
  return cached(
    cacheRoot(),
    `debian-${suite}-${name}`,
    async (directory) => {
      report(`downloading the Debian package ${name} of ${suite}`);
      const apt = join(directory, "apt");
      for (const folder of ["lists/partial", "cache/archives/partial"])
        mkdirSync(join(apt, folder), { recursive: true });
      const keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
      writeFileSync(join(apt, "sources.list"), `deb [signed-by=${keys}] http://deb.debian.org/debian ${suite} main\n`);
      const settings = {
        "Dir::Etc::SourceList": join(apt, "sources.list"),
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": apt,
        "Dir::State::status": "/dev/null",
        "Dir::Cache": join(apt, "cache"),
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",
      };
      const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
      for (const words of [["update"], ["download", name]])
        await execute("apt-get", [...options, ...words], { cwd: apt });
      for (const file of readdirSync(apt).filter((entry) => entry.endsWith(".deb")))
        await execute("dpkg-deb", ["--extract", join(apt, file), directory]);
      await execute("rm", ["-r", apt]);
    },
    report,
  );
}

function thisHost(): Host {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  return {
    path: process.env.PATH ?? "",
    root: process.getuid?.() === 0,
    run: async (command, args) => {
      await execute(command, [...args], { env, maxBuffer: 64 * 1024 * 1024 });
    },
  };
}
