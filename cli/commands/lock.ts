/** `edge-fleet lock`: pins every artifact that the fleet uses to its SHA-256 in artifacts.lock.yaml. */
import { join } from "node:path";
import type { Command } from "commander";
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import { entryAfter, type LockDecision, missingMessage, refusalMessage } from "../lock/decide.ts";
import { LOCK_FILE, planLock, UPSTREAM, type UsedArtifact } from "../lock/plan.ts";
import { runLock } from "../lock/run.ts";
import { writeLock } from "../lock/write.ts";
import { type Cell, formatTable, usesColour } from "../terminal.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson } from "./options.ts";

interface LockOptions {
  readonly inventory: string;
  readonly k3sBase?: string;
  readonly argocdBase?: string;
  readonly acceptChanged?: true;
  readonly check?: true;
  readonly json?: true;
}

const COLOURS = { added: "green", kept: "dim", moved: "yellow", changed: "yellow", refused: "red" } as const;

const HELP = `
For every K3s release and architecture that a device uses, and for the hub's Argo CD release. K3s' hash is the one of
the release's sha256sum-<arch>.txt; Argo CD's manifests are downloaded and hashed. Releases are exact: no channel is
ever resolved. All or nothing is written. Exit codes: 0 done, 1 something failed, was refused or (--check) is not
locked, 2 wrong usage or inventory.`;

/** Registers the command. */
export function registerLock(program: Command): void {
  program
    .command("lock")
    .description("pin every artifact that the fleet uses to its hash in artifacts.lock.yaml")
    .addOption(inventoryOption())
    .option("--k3s-base <url>", `where K3s releases are; rewrites locked URLs (default: ${UPSTREAM.k3s})`)
    .option("--argocd-base <url>", `where Argo CD's tags are; rewrites locked URLs (default: ${UPSTREAM.argocd})`)
    .option("--accept-changed", "replace hashes that differ from those of the release")
    .option("--check", "write and download nothing; exit 1 and list what is not locked")
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (options: LockOptions) => {
      process.exitCode = await lock(options);
    });
}

async function lock(options: LockOptions): Promise<ExitCode> {
  const bases = {
    k3s: baseUrl("--k3s-base", options.k3sBase) ?? UPSTREAM.k3s,
    argocd: baseUrl("--argocd-base", options.argocdBase) ?? UPSTREAM.argocd,
  };
  const used = planLock(inventoryOf(options), bases);
  const file = join(options.inventory, LOCK_FILE);
  if (options.check) return check(file, used, options);
  const moved = new Set([options.k3sBase && "k3s", options.argocdBase && "argocd"]);
  const { decisions, failures } = await runLock(used, {
    acceptChanged: options.acceptChanged === true,
    moveUrl: ({ path }) => moved.has(String(path[0])),
  });
  const refused = decisions.filter(({ state }) => state === "refused");
  const problems = [...failures, ...refused.map((decision) => refusalMessage(file, decision))];
  const written = problems.length === 0 && writeLock(options.inventory, decisions);
  if (options.json) printJson({ file, written, artifacts: decisions.map(reportOf), problems });
  else if (problems.length > 0) process.stdout.write(`${file}: nothing written\n`);
  else print(file, decisions, written);
  for (const problem of problems) process.stderr.write(`error: ${problem}\n`);
  return problems.length === 0 ? EXIT.ok : EXIT.failed;
}

/** @throws UsageError for a URL from which a hash could not be trusted, or that would put a secret into the lock file */
function baseUrl(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const loopback = url !== undefined && /^(127(\.\d+){3}|localhost|\[::1\])$/.test(url.hostname);
  if (url === undefined || !(url.protocol === "https:" || (url.protocol === "http:" && loopback)))
    throw new UsageError(`${option} is not an https URL - a hash that came over plain HTTP proves nothing, use https`);
  if (url.username !== "" || url.password !== "")
    throw new UsageError(`${option} carries credentials, which would be committed - use a mirror without`);
  if (url.search !== "" || url.hash !== "")
    throw new UsageError(`${option} has a query or a fragment - use a base to which paths can be added`);
  return url.href.replace(/\/+$/, "");
}

function check(file: string, used: readonly UsedArtifact[], options: LockOptions): ExitCode {
  const missing = used.filter(({ locked }) => locked === undefined);
  if (options.json) printJson({ file, missing: missing.map(({ field, usedBy }) => ({ field, usedBy })) });
  else process.stdout.write(`${file}: ${used.length - missing.length} of ${used.length} artifacts locked\n`);
  for (const artifact of missing) process.stderr.write(`error: ${missingMessage(file, artifact)}\n`);
  return missing.length === 0 ? EXIT.ok : EXIT.failed;
}

function reportOf(decision: LockDecision): object {
  const { url, sha256, size } = entryAfter(decision);
  return { field: decision.used.field, state: decision.state, url, sha256, size: size ?? null };
}

function print(file: string, decisions: readonly LockDecision[], written: boolean): void {
  const rows = decisions.map((decision): Cell[] => {
    const { sha256, size } = entryAfter(decision);
    const { state, used } = decision;
    return [used.field, { text: state, colour: COLOURS[state] }, sha256.slice(0, 12), String(size ?? "-")];
  });
  if (rows.length > 0)
    process.stdout.write(formatTable(["ARTIFACT", "STATE", "SHA-256", "BYTES"], rows, usesColour(process.stdout)));
  process.stdout.write(written ? `Next: review ${file}, then git add and commit it\n` : `${file}: not changed\n`);
}
