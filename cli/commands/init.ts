/** `edge-fleet init`: a new fleet, ready to be locked and enrolled, from a few questions or from flags. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { EXIT, UsageError } from "../exit.ts";
import type { SourceHost } from "../import/host.ts";
import { readSource } from "../import/run.ts";
import {
  type Answers,
  type Checked,
  DEFAULTS,
  DISTRIBUTION_CHOICE,
  requireValid,
  withoutCredentials,
} from "../init/answers.ts";
import { numberedDevices } from "../init/devices.ts";
import { listedDevices, regionsOf } from "../init/listed.ts";
import { type InitFolders, type InitPlan, leftOvers, planInit } from "../init/plan.ts";
import { type Ask, askAnswers, type GivenAnswers, missingFlags, withDefaults } from "../init/questions.ts";
import { describeInit, refuseConflicts, writeInit } from "../init/run.ts";
import { runProgram } from "../process.ts";
import { runGit } from "../rollout/git.ts";
import { inventoryOption, jsonOption, printJson } from "./options.ts";
import { treeOption } from "./tree-option.ts";

interface InitOptions {
  readonly name?: string;
  readonly gitUrl?: string;
  readonly region?: readonly string[];
  readonly devices?: string;
  readonly csv?: string;
  readonly hostPattern?: string;
  readonly model?: string;
  readonly architecture?: Answers["architecture"];
  readonly memory?: string;
  readonly distribution?: Answers["distribution"];
  readonly release?: string;
  readonly user?: string;
  readonly ci?: Answers["ci"];
  readonly inventory: string;
  readonly tree: string;
  readonly yes?: true;
  readonly dryRun?: true;
  readonly json?: true;
}

const HELP = `
On a terminal, what no flag says is asked for. Nothing that exists is overwritten: what is in the way is listed before the
first question, and nothing is written. The folder becomes a repository of its own: npm install, then Pulumi runs it.
Devices from a CSV file: columns as for edge-fleet import --csv; a column region spreads them over the regions.`;

/** Registers the command. */
export function registerInit(program: Command): void {
  program
    .command("init")
    .description("begin a repository for a fleet: Pulumi program, inventory, stacks, GitOps tree and CI")
    .argument("[dir]", "root of the repository, empty or a new clone", ".")
    .option("--name <name>", "name of the fleet")
    .option("--git-url <url>", "URL of the repository as the devices reach it (default: its remote origin)")
    .option("--region <name...>", "regions; each is one stack")
    .option("--devices <n>", "number of devices to list, spread over the regions (default: commented examples)")
    .option("--csv <file>", "list the devices of this file instead")
    .option("--host-pattern <text>", "hosts of numbered devices (default: {region}-{n:04}.edge.example.com)")
    .option("--model <name>", "name of the first model (default: after architecture and memory)")
    .option("--architecture <name>", "arm64 or amd64 (default: arm64)")
    .option("--memory <size>", "RAM of the model (default: 4Gi)")
    .option("--distribution <name>", `${DISTRIBUTION_CHOICE} (default: ${DEFAULTS.distribution})`)
    .option("--release <version>", "release of the distribution (default: the one that this edge-fleet is tested with)")
    .option("--user <name>", "SSH log-in user (default: root)")
    .option("--ci <system>", "github, gitlab or none (default: github)")
    .addOption(inventoryOption().default("stacks"))
    .addOption(treeOption().default("fleet"))
    .option("-y, --yes", "write without asking")
    .option("--dry-run", "write nothing; list what would be written")
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (dir: string, options: InitOptions) => {
      process.exitCode = await init(dir, options);
    });
}

async function init(root: string, options: InitOptions): Promise<number> {
  const folders = { root, inventory: options.inventory, tree: options.tree };
  const hosts = options.csv === undefined ? undefined : await readHosts(options.csv, options);
  const given = await givenAnswers(root, options, hosts);
  const terminal = process.stdin.isTTY && process.stderr.isTTY && options.yes !== true && options.json !== true;
  if (!terminal) {
    const answers = unattended(given, options);
    return finish(planFor(answers, hosts, folders, options), folders, options);
  }
  refuseConflicts(leftOvers(folders, given.ci), folders);
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const ask: Ask = (question) => prompt.question(question);
    const say = (line: string) => process.stderr.write(`${line}\n`);
    const remote = given.gitUrl ?? (await remoteUrl(root));
    const answers = await askAnswers(given, ask, say, { remote, listed: hosts !== undefined });
    const plan = planFor(answers, hosts, folders, options);
    refuseConflicts(plan.conflicts, folders);
    if (options.dryRun !== true) {
      say(describeInit(plan, folders).join("\n"));
      if (!/^(y(es)?)?$/i.test((await ask("Write these files? [Y/n] ")).trim())) return EXIT.usage;
    }
    return finish(plan, folders, options, options.dryRun !== true);
  } catch (error) {
    // Ctrl-C at a question: nothing was written.
    if (error instanceof Error && error.name === "AbortError") return EXIT.usage;
    throw error;
  } finally {
    prompt.close();
  }
}

function unattended(given: GivenAnswers, { yes, dryRun }: InitOptions): Answers {
  const missing = missingFlags(given);
  const { name, gitUrl, regions } = given;
  if (missing.length > 0 || name === undefined || gitUrl === undefined || regions === undefined)
    throw new UsageError(`nobody can be asked here - use ${missing.join(", ")}`);
  if (yes !== true && dryRun !== true)
    throw new UsageError("nobody can confirm here (no terminal) - use --yes, or --dry-run to see the list");
  return withDefaults({ ...given, name, gitUrl, regions });
}

async function readHosts(file: string, { devices }: InitOptions): Promise<readonly SourceHost[]> {
  if (devices !== undefined)
    throw new UsageError("--devices and --csv both say which devices there are - use one of them");
  const { hosts, problems, secrets } = await readSource({ format: "csv", file, servers: undefined });
  if (problems.length > 0) throw new UsageError(`${file} cannot be used, nothing was written:\n${problems.join("\n")}`);
  for (const { field } of secrets) process.stderr.write(`refused secret ${field}: it is not copied\n`);
  return hosts;
}

/** Checks every flag alone, so that the message names it. */
async function givenAnswers(
  root: string,
  options: InitOptions,
  hosts: readonly SourceHost[] | undefined,
): Promise<GivenAnswers> {
  const { name, region, devices, hostPattern, model, architecture, memory, distribution, release, user, ci } = options;
  const found = hosts === undefined ? [] : regionsOf(hosts);
  const regions = region ?? (found.length > 0 ? found : undefined);
  const gitUrl = options.gitUrl ?? (options.yes === true || options.json === true ? await remoteUrl(root) : undefined);
  const flags: [Checked, string | undefined][] = [
    ["name", name],
    ["git-url", gitUrl],
    ...(regions ?? []).map((text): [Checked, string] => ["region", text]),
    ["devices", devices],
    ["host-pattern", hostPattern],
    ["model", model],
    ["architecture", architecture],
    ["memory", memory],
    ["distribution", distribution],
    ["user", user],
    ["ci", ci],
  ];
  for (const [flag, text] of flags) if (text !== undefined) requireValid(flag, text);
  const count = devices === undefined ? undefined : Number(devices);
  return {
    name,
    gitUrl,
    regions,
    devices: count,
    hostPattern,
    model,
    architecture,
    memory,
    distribution,
    release,
    user,
    ci,
  };
}

async function remoteUrl(root: string): Promise<string | undefined> {
  if (!existsSync(join(root, ".git"))) return undefined;
  const { exitCode, stdout } = await runProgram("git", ["-C", root, "remote", "get-url", "origin"], {
    timeoutMs: 10_000,
  });
  return exitCode === 0 && stdout.trim() !== "" ? withoutCredentials(stdout.trim()) : undefined;
}

function planFor(
  answers: Answers,
  hosts: readonly SourceHost[] | undefined,
  folders: InitFolders,
  { csv }: InitOptions,
): InitPlan {
  if (hosts === undefined) return planInit(answers, numberedDevices(answers), folders);
  const problems: string[] = [];
  const devices = listedDevices(hosts, answers.regions, answers.model, problems);
  if (problems.length > 0) throw new UsageError(`${csv} cannot be used, nothing was written:\n${problems.join("\n")}`);
  return planInit(answers, devices, folders);
}

/** @param shown the list of files has been shown already */
async function finish(plan: InitPlan, folders: InitFolders, options: InitOptions, shown = false): Promise<number> {
  if (options.dryRun !== true) writeInit(plan, folders);
  for (const line of plan.warnings) process.stderr.write(`warning: ${line}\n`);
  if (options.json) {
    const files = plan.files.map(({ path, state }) => ({ path, state }));
    const tree = plan.tree.create.map(({ path }) => path);
    const conflicts = plan.conflicts.map(({ path }) => path);
    printJson({ root: folders.root, dryRun: options.dryRun === true, files, tree, conflicts });
  } else {
    if (!shown) process.stdout.write(`${describeInit(plan, folders).join("\n")}\n`);
    process.stdout.write(`${options.dryRun === true ? "Nothing was written.\n" : await nextSteps(plan, folders)}`);
  }
  return plan.conflicts.length > 0 ? EXIT.usage : EXIT.ok;
}

async function nextSteps({ files }: InitPlan, { root }: InitFolders): Promise<string> {
  const stacks = files.flatMap(({ path }) => /Pulumi\.(.+)\.yaml$/.exec(path)?.[1] ?? []);
  const [first = ""] = stacks.filter((stack) => stack !== "hub");
  const inits = stacks.map((stack) => `pulumi stack init ${stack}`).join(" && ");
  const ups = stacks.map((stack) => `pulumi up --stack ${stack}`).join(" && ");
  const begin = (await runGit(root, ["rev-parse"])).exitCode === 0 ? "npm install" : "git init -b main && npm install";
  return `Next: ${begin}, then: npx edge-fleet lock && npx edge-fleet enroll ${first}, then: ${inits}, commit, then: ${ups}\n`;
}
