/** `edge-fleet kubeconfig`: the cluster of one device, from here, through an SSH tunnel that lasts as long as the command. */
import { rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Command, Option } from "commander";
import type { Profile } from "../../components/inventory/index.ts";
import { readKubeconfigScript, tunnelKubeconfig } from "../device/kubeconfig.ts";
import { freePort, withTunnel } from "../device/tunnel.ts";
import { EXIT, UsageError } from "../exit.ts";
import { attachProgram } from "../process.ts";
import { requireEnrolled } from "../require.ts";
import { reportFailure } from "../ssh/attach.ts";
import { type SshFiles, withSshFiles } from "../ssh/files.ts";
import { explainAnswer, runOnDevice, STDIN_AS_ROOT } from "../ssh/run.ts";
import { inventoryOf, inventoryOption, wholeNumber } from "./options.ts";

interface KubeconfigOptions {
  readonly inventory: string;
  readonly output?: string;
  readonly timeout: number;
}

const HELP = `
The API of a device is reached from the device alone: the kubeconfig goes through a tunnel on a free port of 127.0.0.1 and
is of no use once the command has ended, with which it is deleted. It is that of the cluster's admin. Without --exec the
command prints the line to type in another terminal, and ends with Ctrl-C.
Exit code: that of the command of --exec; 2 wrong usage or inventory, 3 the device cannot be reached, 1 the device failed.`;

/** Where the words of --exec go, see {@link splitExec}. */
const EXEC = "--exec";

/** Registers the command. */
export function registerKubeconfig(program: Command): void {
  const command = program
    .command("kubeconfig")
    .description("reach the cluster of a device with kubectl, through an SSH tunnel")
    .argument("<device>", "id of the device")
    .argument("[command...]", "see --exec")
    .usage("[options] <device> [--exec <command...>]")
    .addOption(inventoryOption())
    .option("-o, --output <file>", "write the kubeconfig there; - prints it")
    .option("--timeout <seconds>", "time for reading it from the device", wholeNumber(1), 30)
    .addOption(new Option(`${EXEC} <command...>`, "all that follows: run it with KUBECONFIG set, and end with it"))
    .addHelpText("after", HELP)
    .action(async (device: string, words: string[], options: KubeconfigOptions) => {
      process.exitCode = await kubeconfig(device, words, options);
    });
  const parse = command.parseOptions.bind(command);
  command.parseOptions = (args) => parse(splitExec(args));
}

/** All that follows --exec is the command's own, its options too. */
function splitExec(args: string[]): string[] {
  const at = args.indexOf(EXEC);
  const end = args.indexOf("--");
  if (at < 0 || (end >= 0 && end < at)) return args;
  return [...args.slice(0, at), "--", ...args.slice(at + 1)];
}

async function kubeconfig(id: string, words: readonly string[], options: KubeconfigOptions): Promise<number> {
  const { output } = options;
  if (words.length > 0 && output !== undefined)
    throw new UsageError(`${EXEC} has a file of its own - use either --output or ${EXEC}`);
  const device = requireEnrolled(inventoryOf(options), id);
  const { joins } = device;
  if (joins !== undefined)
    throw new UsageError(`device ${id} is a node of ${joins}'s cluster - use edge-fleet kubeconfig ${joins}`);
  return withSshFiles(async (files) => {
    const answer = await runOnDevice(files, device, {
      script: STDIN_AS_ROOT,
      stdin: readKubeconfigScript(device),
      timeoutMs: options.timeout * 1000,
    });
    if (answer.exitCode !== 0) return reportFailure(id, explainAnswer(answer));
    return useTunnel(files, device, answer.stdout, words, output);
  });
}

async function useTunnel(
  files: SshFiles,
  device: Profile,
  admin: string,
  words: readonly string[],
  output: string | undefined,
): Promise<number> {
  const { id } = device;
  const port = await freePort();
  const { text, api } = tunnelKubeconfig(id, admin, port);
  const path = output === undefined || output === "-" ? join(files.folder, "kubeconfig") : resolve(output);
  if (output !== "-") writePrivate(path, text);
  try {
    const end = await withTunnel(files, { device, port, to: api }, async (lost): Promise<number> => {
      const [command, ...args] = words;
      if (command !== undefined) return execute(command, args, path);
      process.stdout.write(output === "-" ? text : `export KUBECONFIG='${path}'\n`);
      process.stderr.write(`${id}: tunnel on 127.0.0.1:${port}; Ctrl-C ends it and deletes the kubeconfig\n`);
      await untilEnded(lost);
      return EXIT.ok;
    });
    if ("result" in end) return end.result;
    return end.lost.failure === undefined ? EXIT.failed : reportFailure(id, end.lost.failure);
  } finally {
    if (output !== "-") rmSync(path, { force: true });
  }
}

/** @throws UsageError when the file exists: it may be one that leads to other clusters */
function writePrivate(path: string, text: string): void {
  try {
    writeFileSync(path, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const what = code === "EEXIST" ? "exists, and is deleted at the end" : `cannot be written: ${message}`;
    throw new UsageError(`${path} ${what} - use another path for --output`);
  }
}

async function execute(command: string, args: readonly string[], path: string): Promise<number> {
  const streams = { stdin: "inherit", stdout: "inherit", stderr: "inherit" } as const;
  try {
    const { exitCode } = await attachProgram(command, args, { ...streams, environment: { KUBECONFIG: path } });
    return exitCode ?? EXIT.failed;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new UsageError(`${command} is not on PATH - install it, or write its path`);
  }
}

/** Until the tunnel is lost or a person ends the command. */
function untilEnded(lost: AbortSignal): Promise<void> {
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  return new Promise((resolve) => {
    const end = (): void => {
      for (const name of signals) process.off(name, end);
      resolve();
    };
    for (const name of signals) process.on(name, end);
    lost.addEventListener("abort", end);
  });
}
