/** `edge-fleet logs`: what runs of edge-fleet, the Kubernetes service and the pull engine of a device have logged. */
import { Argument, type Command } from "commander";
import { linesAfter } from "../device/lines.ts";
import { LOG_SOURCES, type LogSource, logScript } from "../device/logs.ts";
import { EXIT, type ExitCode } from "../exit.ts";
import { requireEnrolled } from "../require.ts";
import { attachSsh, reportFailure } from "../ssh/attach.ts";
import { withSshFiles } from "../ssh/files.ts";
import { BEGIN, remoteCommand, STDIN_AS_ROOT } from "../ssh/run.ts";
import { inventoryOf, inventoryOption, wholeNumber } from "./options.ts";

interface LogsOptions {
  readonly inventory: string;
  readonly lines: number;
  readonly follow?: true;
}

const HELP = `
Sources: apply is /var/log/edge-fleet/apply.log, unit the Kubernetes service, engine the pods of the pull engine. With
several, each line begins with its source.
Exit codes: 0 done, 1 the device failed, 2 wrong usage or inventory, 3 the device cannot be reached.`;

/** Registers the command. */
export function registerLogs(program: Command): void {
  program
    .command("logs")
    .description("show the newest log lines of a device: of runs, of its Kubernetes service, of its pull engine")
    .argument("<device>", "id of the device")
    .addArgument(new Argument("[sources...]", "which logs. Default: all").choices(LOG_SOURCES))
    .addOption(inventoryOption())
    .option("-n, --lines <n>", "newest lines of each source", wholeNumber(0), 50)
    .option("-f, --follow", "go on with lines as they come, until Ctrl-C")
    .addHelpText("after", HELP)
    .action(async (device: string, sources: LogSource[], options: LogsOptions) => {
      process.exitCode = await logs(device, sources, options);
    });
}

async function logs(id: string, asked: readonly LogSource[], options: LogsOptions): Promise<ExitCode> {
  const device = requireEnrolled(inventoryOf(options), id);
  const { lines, follow = false } = options;
  const sources = asked.length === 0 ? LOG_SOURCES : LOG_SOURCES.filter((source) => asked.includes(source));
  const text = logScript({ sources, lines, follow, engine: device.gitops.engine });
  const { exitCode, failure, interrupted } = await withSshFiles((files) =>
    attachSsh(files, {
      device,
      options: ["-T", "-oClearAllForwardings=yes"],
      command: remoteCommand(STDIN_AS_ROOT),
      stdin: { text, held: follow },
      stdout: linesAfter(BEGIN, (shown) => process.stdout.write(shown)),
    }),
  );
  if (failure !== undefined) return reportFailure(id, failure);
  return exitCode === 0 || interrupted ? EXIT.ok : EXIT.failed;
}
