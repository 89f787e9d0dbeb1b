/**
 * The lab's toolchain: executables on a PATH. The real thing yields nothing to a stand-in: an installed `pulumi` is
 * used with its own language host and plugins, an installed host, plugin, kustomize or kubeconform as it is; only what
 * is missing is built (once, into a cache outside the repository).
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, readFileSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";
import { build, findGo, findOnPath, type Go } from "./build.ts";
import { cached, cacheKey, cacheRoot } from "./cache.ts";
import { Forecast } from "./forecast.ts";
import {
  acceptedVersion,
  buildArguments,
  type FLUX_PARTS,
  GO_PARTS,
  type GoPart,
  PART_NAMES,
  type PartName,
} from "./parts.ts";

export type { PartName } from "./parts.ts";

const execute = promisify(execFile);

/** Builds that run at the same time: each keeps every core busy by itself, two fill the gaps at start and link. */
const CONCURRENT_BUILDS = 2;

/** How long an installed program may take to print its version, in milliseconds. */
const VERSION_TIMEOUT_MS = 15_000;

/** Parts that belong to a Pulumi installation: a real `pulumi` brings or downloads its own. */
const PULUMI_COMPANIONS: readonly PartName[] = [
  "pulumi-language-nodejs",
  "pulumi-resource-command",
  "pulumi-resource-kubernetes",
];

/** One part, for reports and for use. */
export interface Part {
  readonly name: string;
  /** true: the real thing (installed, or built from its own Go module); false: a stand-in of this lab. */
  readonly real: boolean;
  /** Version text for reports. */
  readonly version: string;
  /** The executable; of a companion of an installed `pulumi`, that `pulumi`. */
  readonly path: string;
}

/** What `ensureToolchain` made available. */
export interface Toolchain {
  /** Folder with every part that is not installed, under its command name. */
  readonly binDir: string;
  readonly parts: readonly Part[];
  /**
   * Environment to add: `PATH` with `binDir` first, where Node keeps what it has compiled (a start of the command line
   * takes less than half the processor time then), and what keeps Pulumi off the network where it was built here.
   */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Makes parts available, building what is missing.
 * @param report gets progress lines; while a build runs, at least one every 10 s
 * @param parts the wanted parts. Default: all
 * @returns where they are
 * @throws Error naming what to install when a compiler is missing, or showing why a build failed
 */
export async function ensureToolchain(
  report: (line: string) => void,
  parts: readonly PartName[] = PART_NAMES,
): Promise<Toolchain> {
  const installed = await findInstalled(parts);
  const missing = parts.filter((name) => !installed.has(name));
  const built = await buildAll(missing, report);
  const binDir = await assembleBin([...built.values()], missing.includes("pulumi-language-nodejs"), report);
  const host: Part = {
    name: "pulumi-language-nodejs",
    real: false,
    version: `stand-in on Node ${process.version}`,
    path: join(binDir, "pulumi-language-nodejs"),
  };
  // The hub runs in a namespace without a network, so what it is installed from must be there before.
  if (parts.includes("hub-apiserver")) await argocdManifests();
  const found = parts.map((name) => installed.get(name) ?? built.get(name) ?? host);
  for (const part of found) report(`${part.name}: ${part.real ? "real" : "STAND-IN"}, ${part.version}`);
  const env = {
    PATH: [binDir, process.env.PATH].filter(Boolean).join(delimiter),
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE ?? join(cacheRoot(), "compiled"),
    PULUMI_SKIP_UPDATE_CHECK: "true",
    ...(built.has("pulumi") ? { PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION: "true" } : {}),
  };
  return { binDir, parts: found, env };
}

/** The parts that are installed, with the companions of an installed `pulumi`; without one, those that lie on PATH. */
async function findInstalled(wanted: readonly PartName[]): Promise<Map<PartName, Part>> {
  const found = new Map<PartName, Part>();
  const needsPulumi = wanted.some((name) => PULUMI_COMPANIONS.includes(name));
  for (const part of GO_PARTS) {
    if (!wanted.includes(part.name) && !(part.name === "pulumi" && needsPulumi)) continue;
    const installed = await installedPart(part);
    if (installed) found.set(part.name, installed);
  }
  const pulumi = found.get("pulumi");
  for (const name of PULUMI_COMPANIONS) {
    const path = pulumi?.path ?? (wanted.includes(name) ? installedFile(name) : undefined);
    const version = pulumi ? `the one that pulumi ${pulumi.version} chooses` : `the one at ${path}`;
    if (path) found.set(name, { name, real: true, version, path });
  }
  return found;
}

/**
 * Looks an installed program up. Executables of the cache do not count: a process that was itself started with a
 * toolchain's PATH would otherwise call them installed.
 */
function installedFile(name: string, path = process.env.PATH ?? ""): string | undefined {
  const cache = `${cacheRoot()}/`;
  return findOnPath(name, path, (candidate) => !realpathSync(candidate).startsWith(cache));
}

/**
 * The installed program of a part, where there is one that is new enough.
 * @param part the part
 * @param path folders to look in, in PATH's syntax. Default: this process's PATH
 * @returns the part, undefined when nothing usable is installed
 */
export async function installedPart(part: GoPart, path = process.env.PATH ?? ""): Promise<Part | undefined> {
  if (!part.installed) return undefined;
  const file = installedFile(part.name, path);
  if (!file) return undefined;
  try {
    const { stdout, stderr } = await execute(file, part.installed.arguments, { timeout: VERSION_TIMEOUT_MS });
    const version = acceptedVersion(stdout || stderr, part.installed);
    return version ? { name: part.name, real: true, version, path: file } : undefined;
  } catch {
    return undefined;
  }
}

/** Builds parts, the smallest first and alone: it leaves Go's own library compiled, which two at once would both compile. */
async function buildAll(names: readonly PartName[], report: (line: string) => void): Promise<Map<PartName, Part>> {
  const queue = GO_PARTS.filter((part) => names.includes(part.name));
  const built = new Map<PartName, Part>();
  if (queue.length === 0) return built;
  const go = await findGo();
  const lacking = queue.filter((part) => !existsSync(join(cacheRoot(), entryOf(go, part))));
  const forecast = new Forecast(lacking);
  const next = async (part: GoPart) => {
    built.set(part.name, await buildPart(go, part, forecast, report));
    forecast.finish(part.name);
  };
  const worker = async () => {
    for (let part = queue.shift(); part; part = queue.shift()) await next(part);
  };
  const smallest = queue.pop();
  if (smallest) await next(smallest);
  await Promise.all(Array.from({ length: CONCURRENT_BUILDS }, worker));
  return built;
}

/** Name of a part's folder in the cache. */
function entryOf(go: Go, part: GoPart): string {
  return `${part.name}-${cacheKey(part.directory, go.identity, buildArguments(part))}`;
}

async function buildPart(go: Go, part: GoPart, forecast: Forecast, report: (line: string) => void): Promise<Part> {
  const fill = (directory: string) => build(go, part, directory, forecast, report);
  const directory = await cached(cacheRoot(), entryOf(go, part), fill, report);
  return { name: part.name, real: part.real, version: part.version, path: join(directory, part.name) };
}

/** A folder of links, so that PATH grows by one entry and holds exactly the wanted parts. */
function assembleBin(parts: readonly Part[], languageHost: boolean, report: (line: string) => void): Promise<string> {
  const host = join(import.meta.dirname, "language-host.ts");
  const wanted = [parts.map((part) => part.path).sort(), languageHost ? [process.execPath, host] : []];
  const key = createHash("sha256").update(JSON.stringify(wanted)).digest("hex").slice(0, 16);
  const fill = async (directory: string) => {
    for (const part of parts) symlinkSync(part.path, join(directory, part.name));
    if (!languageHost) return;
    const script = join(directory, "pulumi-language-nodejs");
    writeFileSync(
      script,
      `#!/bin/sh\n# Stand-in, see the TypeScript file.\nexec '${process.execPath}' '${host}' "$@"\n`,
    );
    chmodSync(script, 0o755);
  };
  return cached(cacheRoot(), `bin-${key}`, fill, report);
}

/**
 * The definition of SealedSecret, as upstream's chart has it in the Go module that `sealed-secrets/go.mod` pins.
 * @returns its YAML
 * @throws Error naming what to install, or why the module could not be had
 */
export async function sealedSecretDefinition(): Promise<string> {
  const directory = await moduleDirectory("sealed-secrets", "github.com/bitnami/sealed-secrets");
  return readFileSync(join(directory, "helm/sealed-secrets/crds/bitnami.com_sealedsecrets.yaml"), "utf8");
}

/**
 * A definition of Flux, as upstream has it in the Go module that `flux/go.mod` pins.
 * @param file name in `config/crd/bases`
 * @returns its YAML
 * @throws Error as {@link sealedSecretDefinition}
 */
export async function fluxDefinition(controller: (typeof FLUX_PARTS)[number], file: string): Promise<string> {
  const directory = await moduleDirectory("flux", `github.com/fluxcd/${controller}`);
  return readFileSync(join(directory, "config/crd/bases", file), "utf8");
}

/** Where a module is that the go.mod of a folder pins. */
async function moduleDirectory(folder: string, module: string): Promise<string> {
  const go = await findGo();
  const { stdout } = await execute(go.path, ["mod", "download", "-json", module], {
    cwd: join(import.meta.dirname, folder),
    env: { ...process.env, GOWORK: "off" },
  });
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}

/**
 * The `manifests/` folder of Argo CD (CRDs, `namespace-install.yaml`), from the Go module that `argocd-manifests/go.mod`
 * pins: downloaded through the Go module proxy, verified, never compiled.
 * @returns version of the module and path of the folder
 * @throws Error naming what to install, or why the module could not be had
 */
export async function argocdManifests(): Promise<{ version: string; directory: string }> {
  const { version, directory } = await pinnedModule("argocd-manifests");
  return { version, directory: join(directory, "manifests") };
}

/**
 * A definition of External Secrets, from the Go module that `external-secrets/go.mod` pins: the newest one that the Go
 * module proxy has.
 * @param file name in `config/crds/bases`
 * @returns its YAML
 * @throws Error as {@link argocdManifests}
 */
export async function externalSecretsDefinition(file: string): Promise<string> {
  const { directory } = await pinnedModule("external-secrets");
  return readFileSync(join(directory, "config/crds/bases", file), "utf8");
}

/** Where the one module is that the go.mod of a folder requires; it may require others that cannot be had. */
async function pinnedModule(folder: string): Promise<{ version: string; directory: string }> {
  const directory = join(import.meta.dirname, folder);
  const pin = /^require (\S+) (v\S+)$/m.exec(readFileSync(join(directory, "go.mod"), "utf8"));
  if (!pin) throw new Error(`${join(directory, "go.mod")} has no line "require <module> <version>" - restore it`);
  const [, module, version = ""] = pin;
  const go = await findGo();
  const { stdout } = await execute(go.path, ["mod", "download", "-json", `${module}@${version}`], {
    cwd: directory,
    env: { ...process.env, GOWORK: "off" },
  });
  return { version, directory: (JSON.parse(stdout) as { Dir: string }).Dir };
}
