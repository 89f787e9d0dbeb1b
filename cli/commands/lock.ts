/** `edge-fleet lock`: pins every artifact that the fleet uses to its SHA-256 in artifacts.lock.yaml. */
import { join } from "node:path";
import type { Command } from "commander";
import { defaultCacheDirectory } from "../../components/artifacts/cache.ts";
import { isLoopback } from "../../components/artifacts/http.ts";
import { type ArtifactFile, resolveFleet } from "../../components/inventory/index.ts";
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import { type Project, type ReleaseBases, UPSTREAM, type UsedArtifact } from "../lock/artifact.ts";
import { besideProblems } from "../lock/beside.ts";
import { entryAfter, type LockDecision, missingMessage, refusalMessage } from "../lock/decide.ts";
import { findUnpinned, imagesBlock, suggestDigests } from "../lock/images.ts";
import { checkMirror, fillMirror, listImages, type MirrorOutcome } from "../lock/mirror.ts";
import { type MirrorFile, planMirror } from "../lock/mirror-layout.ts";
import { LOCK_FILE, planLock } from "../lock/plan.ts";
import { decisionReport, mirrorProblems, printDecisions, printImages, printMirror } from "../lock/report.ts";
import { runLock } from "../lock/run.ts";
import { planImageArchives } from "../lock/sources/image-archives.ts";
import { DEFAULT_SHIMS, parseShims } from "../lock/sources/wasm.ts";
import { imageByDigest, lockAfter, writeLock } from "../lock/write.ts";
import { inventoryOf, inventoryOption, jsonOption, printJson } from "./options.ts";

type LockOptions = { readonly [P in Project as `${P}Base`]?: string } & {
  readonly inventory: string;
  readonly wasm?: readonly string[];
  readonly cache: string;
  readonly mirror?: string;
  readonly images?: string;
  readonly acceptChanged?: true;
  readonly check?: true;
  readonly json?: true;
};

const PROJECTS = Object.keys(UPSTREAM) as Project[];

const HELP = `
For every release and architecture that a device uses: K3s and K0s binaries (and image archives with artifacts.images)
by the hash list of their release, a new K0s binary also by its signature; MicroK8s snaps by the digest that the Snap Store signs, with their assertions; WASM
shims (default releases: ${Object.entries(DEFAULT_SHIMS)
  .map(([name, version]) => `${name} ${version}`)
  .join(", ")}) and Argo CD's
manifests by downloading and hashing; its images, of hub and devices, by the digest that their registry has of the tag
that Argo CD's manifests name. A mirror gets those as a list, images.txt, for a registry: skopeo copy --all, one a line;
for devices with artifacts.images and artifacts.mirror the images themselves too, each as an archive. Releases are exact:
no channel is ever resolved. All or nothing is written; what is locked stays as it is where nobody answers. Exit codes: 0 done, 1 something failed, was refused or (--check) is not there,
2 wrong usage or inventory.`;

/** Registers the command. */
export function registerLock(program: Command): void {
  const command = program
    .command("lock")
    .description("pin every artifact that the fleet uses to its hash in artifacts.lock.yaml")
    .addOption(inventoryOption());
  for (const project of PROJECTS)
    command.option(`--${project}-base <url>`, `where ${project} releases are (default: ${UPSTREAM[project]})`);
  command
    .option("--wasm <runtime=release...>", "release of a WASM shim, e.g. spin=v0.24.0 (default: as locked)")
    .option("--accept-changed", "replace hashes that differ from those of the release, and the key that signs K0s")
    .option("--check", "write and download nothing; exit 1 and list what is not locked, or not in the mirror")
    .option("--mirror <dir>", "also fill a folder that a web server can offer as artifacts.mirror")
    .option("--images <dir>", "only show the digests of images that the YAML files of a folder name by tag")
    .option("--cache <dir>", "the workstation's artifact cache", defaultCacheDirectory())
    .addOption(jsonOption())
    .addHelpText("after", HELP)
    .action(async (options: LockOptions) => {
      process.exitCode = await lock(options);
    });
}

async function lock(options: LockOptions): Promise<ExitCode> {
  if (options.images !== undefined) return suggestImages(options.images, options.json === true);
  const { bases, moved } = basesOf(options);
  const inventory = inventoryOf(options);
  const profiles = resolveFleet(inventory);
  const used = planLock(inventory, bases, parseShims(options.wasm ?? []), profiles);
  const file = join(options.inventory, LOCK_FILE);
  if (options.check) return check(file, [...used, ...planImageArchives(profiles, inventory.artifacts)], options);
  const policy = {
    acceptChanged: options.acceptChanged === true,
    moveUrl: ({ project }: UsedArtifact) => project !== "registry" && moved.has(project),
  };
  const { acceptChanged } = policy;
  const context = { bases, cache: options.cache, snaps: new Map(), acceptChanged };
  const { decisions, failures, warnings } = await runLock(used, policy, context, (decided) =>
    planImageArchives(profiles, lockAfter(inventory.artifacts, decided)),
  );
  const refused = decisions.filter(({ state }) => state === "refused");
  const problems = [...failures, ...refused.map((decision) => refusalMessage(file, decision))];
  const written = problems.length === 0 && writeLock(options.inventory, decisions);
  const mirror = problems.length === 0 ? await fill(options, decisions) : [];
  const notes = [...new Set(decisions.flatMap(({ rest }) => rest.note ?? []))];
  if (options.json) {
    const artifacts = decisions.map(decisionReport);
    printJson({ file, written, artifacts, mirror, notes, warnings, problems });
  } else if (problems.length > 0) process.stdout.write(`${file}: nothing written\n`);
  else {
    printDecisions(decisions);
    for (const note of notes) process.stdout.write(`${note}\n`);
    process.stdout.write(written ? `Next: review ${file}, then git add and commit it\n` : `${file}: not changed\n`);
    if (options.mirror !== undefined) printMirror(options.mirror, mirror);
  }
  for (const warning of warnings) process.stderr.write(`warning: ${warning}\n`);
  return say([...problems, ...mirrorProblems(options.mirror ?? "", mirror)]);
}

/** Bases, and the projects whose base was given. @throws UsageError for one of them */
function basesOf(options: LockOptions): { bases: ReleaseBases; moved: ReadonlySet<Project> } {
  const given = PROJECTS.flatMap((project) => {
    const base = baseUrl(`--${project}-base`, options[`${project}Base`]);
    return base === undefined ? [] : [[project, base] as const];
  });
  return { bases: { ...UPSTREAM, ...Object.fromEntries(given) }, moved: new Set(given.map(([project]) => project)) };
}

/** @throws UsageError for a URL from which a hash could not be trusted, or that would put a secret into the lock file */
function baseUrl(option: string, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const trusted = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url.hostname));
  if (url === undefined || !trusted)
    throw new UsageError(`${option} is not an https URL - a hash that came over plain HTTP proves nothing, use https`);
  if (url.username !== "" || url.password !== "")
    throw new UsageError(`${option} carries credentials, which would be committed - use a mirror without`);
  if (url.search !== "" || url.hash !== "")
    throw new UsageError(`${option} has a query or a fragment - use a base to which paths can be added`);
  return url.href.replace(/\/+$/, "");
}

async function check(file: string, used: readonly UsedArtifact[], options: LockOptions): Promise<ExitCode> {
  const missing = used.filter(({ locked }) => locked === undefined);
  const beside = besideProblems(options.inventory, used);
  const { mirror: folder } = options;
  const { files, images } = mirrored(
    used.flatMap(({ field, hash, locked: file }) => (file ? [{ field, hash, file }] : [])),
  );
  const mirror =
    folder === undefined
      ? []
      : [...(await checkMirror(folder, planMirror(files))), ...listImages(folder, images, false)];
  if (options.json)
    printJson({ file, missing: missing.map(({ field, usedBy }) => ({ field, usedBy })), mirror, problems: beside });
  else {
    process.stdout.write(`${file}: ${used.length - missing.length} of ${used.length} artifacts locked\n`);
    if (folder !== undefined) printMirror(folder, mirror);
  }
  const unlocked = missing.map((artifact) => missingMessage(file, artifact));
  return say([...unlocked, ...beside, ...mirrorProblems(folder ?? "", mirror)]);
}

async function fill(options: LockOptions, decisions: readonly LockDecision[]): Promise<MirrorOutcome[]> {
  if (options.mirror === undefined) return [];
  const { files, images } = mirrored(
    decisions.map((decision) => {
      const { field, hash } = decision.used;
      return { field, hash, file: entryAfter(decision) };
    }),
  );
  const sources = { directory: options.inventory, cache: options.cache };
  const outcomes = await fillMirror(options.mirror, planMirror(files), sources);
  return [...outcomes, ...listImages(options.mirror, images, true)];
}

/** What of the lock a web server can offer, and what only a registry can. */
function mirrored(entries: readonly (Pick<UsedArtifact, "field" | "hash"> & { readonly file: ArtifactFile })[]): {
  readonly files: readonly Omit<MirrorFile, "path">[];
  readonly images: readonly string[];
} {
  const { true: images = [], false: files = [] } = Object.groupBy(entries, ({ hash }) =>
    hash.kind === "image" ? "true" : "false",
  );
  return {
    files: files.map(({ field, file, hash }) =>
      hash.kind === "image-archive" ? { field, file, image: hash.image } : { field, file },
    ),
    images: images.map(({ file }) => imageByDigest(file)),
  };
}

async function suggestImages(folder: string, json: boolean): Promise<ExitCode> {
  const suggestions = await suggestDigests(findUnpinned(folder));
  const block = imagesBlock(suggestions);
  if (json) printJson({ folder, images: suggestions });
  else printImages(suggestions, block);
  return say(
    suggestions.flatMap(({ reference, problem }) => (problem === undefined ? [] : [`${reference}: ${problem}`])),
  );
}

function say(problems: readonly string[]): ExitCode {
  for (const problem of problems) process.stderr.write(`error: ${problem}\n`);
  return problems.length === 0 ? EXIT.ok : EXIT.failed;
}
