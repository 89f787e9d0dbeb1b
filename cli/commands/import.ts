/** `edge-fleet import`: machines of another tool's inventory into the inventory. */
import type { Command } from "commander";
import { EXIT, UsageError } from "../exit.ts";
import { formatImport, importReport } from "../import/report.ts";
import { runImport, type SourceFormat } from "../import/run.ts";
import { usesColour } from "../terminal.ts";
import { inventoryOption, jsonOption, printJson, wholeNumber } from "./options.ts";

interface ImportCommandOptions extends Partial<Record<SourceFormat, string>> {
  readonly inventory: string;
  readonly region?: string;
  readonly model?: string;
  readonly user?: string;
  readonly port?: number;
  readonly servers?: number;
  readonly knownHosts?: string;
  readonly dryRun?: true;
  readonly json?: true;
}

const FORMATS: readonly SourceFormat[] = ["k3sup", "ansible", "k0sctl", "csv"];

const HELP = `
Taken over: names, addresses, users, ports, jump hosts (k0sctl's bastion, Ansible's ProxyJump), pinned releases, and who
joins whom, where that is K3s: agents get joins. Host keys (column hostKey, --known-hosts) go into <region>.lock.yaml. What
stands in group_vars and host_vars beside an Ansible inventory is read where ansible-inventory is installed. Everything else is
named with its place. Passwords, tokens and keys are named and never copied. Nothing is written when a device is there already, or when the inventory would not load afterwards.
An existing region keeps the way in which it lists its devices; a new one gets a CSV file from 26 devices on.
A machine keeps what another tool installed on it: remove that first (k3s-uninstall.sh, k0s reset), or up refuses it.`;

/** Registers the command. */
export function registerImport(program: Command): void {
  program
    .command("import")
    .description("bring machines from k3sup, k3s-ansible, kubespray, k0sctl or a CSV file into the inventory")
    .option("--k3sup <file>", "hosts file of k3sup plan (JSON)")
    .option("--ansible <file>", "Ansible inventory: YAML (.yml, .yaml, .json), else INI")
    .option("--k0sctl <file>", "k0sctl.yaml")
    .option(
      "--csv <file>",
      "CSV file with a header: id,host and any of region,model,ring,ssh.user,ssh.port,labels.<key>,…",
    )
    .option("--region <name>", "region that they belong to; created where there is none")
    .option("--model <name>", "model of models.yaml that they are (default: the only one)")
    .option("--user <name>", "SSH user where the file names none")
    .option("--port <n>", "SSH port where the file names none", wholeNumber(1))
    .option(
      "--servers <n>",
      "with --k3sup: how many hosts from the top are servers; the others join the first",
      wholeNumber(1),
    )
    .option("--known-hosts <file>", "where the host keys of devices and jump hosts are known, e.g. ~/.ssh/known_hosts")
    .option("--dry-run", "write nothing; say what would be written")
    .addOption(inventoryOption())
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (options: ImportCommandOptions) => {
      process.exitCode = await importMachines(options);
    });
}

async function importMachines(options: ImportCommandOptions): Promise<number> {
  const given = FORMATS.filter((format) => options[format] !== undefined);
  const [format] = given;
  const file = format && options[format];
  if (format === undefined || file === undefined || given.length > 1)
    throw new UsageError("say what to import: one of --k3sup, --ansible, --k0sctl or --csv <file>");
  if (options.servers !== undefined && format !== "k3sup")
    throw new UsageError("--servers is for --k3sup - the other formats say who is a server");
  const dryRun = options.dryRun === true;
  const { region, model, user, port, servers, knownHosts, inventory: directory } = options;
  const result = await runImport({ format, file, region, model, user, port, servers, knownHosts, directory, dryRun });
  if (options.json) printJson(importReport(file, result, dryRun));
  else process.stdout.write(formatImport(result, dryRun, usesColour(process.stdout)));
  return EXIT.ok;
}
