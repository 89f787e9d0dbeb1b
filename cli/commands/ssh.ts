/** `edge-fleet ssh`: a shell or one command on a device, over its pinned connection. */
import type { Command } from "commander";
import { EXIT, type ExitCode } from "../exit.ts";
import { requireEnrolled } from "../require.ts";
import { attachSsh, reportFailure } from "../ssh/attach.ts";
import { withSshFiles } from "../ssh/files.ts";
import { inventoryOf, inventoryOption } from "./options.ts";

interface SshOptions {
  readonly inventory: string;
  readonly tty?: true;
}

const HELP = `
The connection is that of a run: the pinned host key, the jump host, the log-in user of the inventory. Words after -- are
joined with blanks and run by the log-in shell, as with ssh.
Exit code: that of the command; 2 wrong usage or inventory, 3 the device cannot be reached, 1 the connection is refused.`;

/** As shells have it for what Ctrl-C has ended: 128 and the number of SIGINT. */
const EXIT_INTERRUPTED = 130;

/** Registers the command. */
export function registerSsh(program: Command): void {
  program
    .command("ssh")
    .description("log in on a device, or run one command there")
    .argument("<device>", "id of the device")
    .argument("[command...]", "after --: what is run instead of a shell")
    .addOption(inventoryOption())
    .option("-t, --tty", "give the command a terminal, e.g. for top")
    .addHelpText("after", HELP)
    .action(async (device: string, words: string[], options: SshOptions) => {
      process.exitCode = await ssh(device, words, options);
    });
}

async function ssh(id: string, words: readonly string[], options: SshOptions): Promise<ExitCode | number> {
  const device = requireEnrolled(inventoryOf(options), id);
  const { exitCode, failure, interrupted } = await withSshFiles((files) =>
    attachSsh(files, {
      device,
      options: options.tty === true ? ["-t"] : [],
      command: words.length === 0 ? undefined : words.join(" "),
      stdin: "inherit",
      stdout: "inherit",
    }),
  );
  if (failure !== undefined) return reportFailure(id, failure);
  return interrupted ? EXIT_INTERRUPTED : (exitCode ?? EXIT.failed);
}
