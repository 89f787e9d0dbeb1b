/** `edge-fleet report`: the fleet as one HTML file, or served to a browser on this machine. Changes nothing else. */
import { resolve } from "node:path";
import { type Command, Option } from "commander";
import { EXIT, type ExitCode } from "../exit.ts";
import { withInterrupt } from "../interrupt.ts";
import { readReport, writeReport } from "../report/file.ts";
import type { ReportData, ReportFacts } from "../report/model.ts";
import { readFleetReport } from "../report/read.ts";
import { renderReport } from "../report/render.ts";
import { serveReport } from "../report/serve.ts";
import { dialOption } from "../rollout/status-source.ts";
import { formatStates, formatVerdicts } from "../status/layout.ts";
import { inventoryOf, wholeNumber } from "./options.ts";
import { addHealthOptions, type HealthCommandOptions } from "./rollout-options.ts";

interface ReportOptions extends HealthCommandOptions {
  readonly out?: string;
  readonly serve?: number | true;
}

/** Without --out. */
const FILE = "report.html";

const HELP = `
The page needs no network and no server, and can be mailed: it holds ids, states and reasons, no address, key or secret.
It says what edge-fleet status and rings say; where the file exists it also says what changed since then. --serve makes it
anew every 30 s while somebody looks, on 127.0.0.1 alone, and writes a file only with --out.
Exit codes: 0 written, 1 nothing could be read, 2 wrong usage or inventory.`;

/** Registers the command. */
export function registerReport(program: Command): void {
  const command = program
    .command("report")
    .description("write the fleet as one HTML page: states, reasons, rings, releases, and what changed")
    .option("-o, --out <file>", `where it goes, and what it is compared with (default: "${FILE}")`)
    .addOption(
      new Option(
        "--serve [port]",
        "show it to a browser on this machine until Ctrl-C. Default: a port that is free",
      ).argParser(wholeNumber(1)),
    );
  addHealthOptions(command.addOption(dialOption().conflicts("serve")), { json: false })
    .addHelpText("after", HELP)
    .action(async (options: ReportOptions) => {
      process.exitCode = await report(options);
    });
}

async function report(options: ReportOptions): Promise<ExitCode> {
  const { out, serve: port } = options;
  const { fleet } = inventoryOf(options).fleet;
  const file = out ?? (port === undefined ? FILE : undefined);
  const previous = file === undefined ? undefined : readReport(file, fleet);
  const data = await make(options, previous);
  if (file !== undefined) {
    const page = renderReport(data);
    writeReport(file, page);
    process.stdout.write(`${describe(data)}\n${file}: ${Math.ceil(Buffer.byteLength(page) / 1024)} KiB\n`);
    if (port === undefined) process.stdout.write(`Next: open file://${encodeURI(resolve(file))} in a browser\n`);
  }
  return port === undefined ? EXIT.ok : serve(options, data, previous ?? data);
}

/** The inventory is read anew each time: it may be edited while the page is served. */
async function make(options: ReportOptions, previous: ReportFacts | undefined): Promise<ReportData> {
  const data = await readFleetReport(inventoryOf(options), options, previous);
  for (const problem of data.problems) process.stderr.write(`${problem}\n`);
  return data;
}

async function serve(options: ReportOptions, first: ReportData, previous: ReportFacts): Promise<ExitCode> {
  const port = typeof options.serve === "number" ? options.serve : 0;
  const server = await serveReport({ port, first, make: () => make(options, previous) });
  process.stdout.write(`Next: open ${server.url} in a browser; Ctrl-C ends it\n`);
  await withInterrupt("", (signal) => new Promise<void>((end) => signal.addEventListener("abort", () => end())));
  await server.close();
  return EXIT.ok;
}

/** The counts of `status`, over all regions. */
function describe({ fleet, devices }: ReportData): string {
  const verdicts = formatVerdicts(devices);
  return `${fleet}: ${formatStates(devices)}${verdicts === "" ? "" : `\nhealth: ${verdicts}`}`;
}
