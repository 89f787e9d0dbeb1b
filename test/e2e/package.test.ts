/**
 * The package as users get it: packed, installed from its tarball into a folder of its own, and used there by the command,
 * by an import, and by Pulumi, on the oldest Node that it promises and on a later one.
 */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { before, test } from "node:test";
import { type RunResult, runProgram } from "../../cli/process.ts";
import { inventorySchemas } from "../../components/inventory/index.ts";
import { ensureToolchain } from "../lab/toolchain/index.ts";
import { nodeRelease } from "../lab/toolchain/node.ts";
import { processFolder } from "../temporary.ts";

const REPOSITORY = join(import.meta.dirname, "..", "..");
const TIMEOUT_MS = 300_000;

/** The oldest that `engines` allows, and the oldest LTS after it. */
const RELEASES = ["22.18.0", "24.21.0"];
const TOO_OLD = ["20.19.0", "22.17.1"];

const CONSUMER = processFolder("package");
const COMMAND = join(CONSUMER, "node_modules", "edge-fleet", "cli", "edge-fleet.js");

interface PackedFile {
  readonly path: string;
}

let files: readonly string[] = [];
let tarball = "";

async function run(command: string, args: readonly string[], options: { cwd: string; env?: Record<string, string> }) {
  const { cwd, env = {} } = options;
  return runProgram(command, args, { cwd, environment: env, timeoutMs: TIMEOUT_MS, maxOutputBytes: 4_000_000 });
}

function succeeded({ exitCode, stdout, stderr }: RunResult): string {
  assert.equal(exitCode, 0, stdout + stderr);
  return stdout;
}

/** The command of the installed package, on a release of Node. */
async function edgeFleet(release: string, args: readonly string[], cwd = CONSUMER): Promise<RunResult> {
  return run(await nodeRelease(release), [COMMAND, ...args], { cwd });
}

before(async () => {
  const packed = succeeded(await run("npm", ["pack", "--json", "--pack-destination", CONSUMER], { cwd: REPOSITORY }));
  const [{ filename, files: listed }] = JSON.parse(packed.slice(packed.indexOf("[\n"))) as [
    { filename: string; files: PackedFile[] },
  ];
  tarball = filename;
  files = listed.map(({ path }) => path);
  writeFileSync(join(CONSUMER, "package.json"), '{ "type": "module" }\n');
  succeeded(await run("npm", ["install", "--prefer-offline", `./${filename}`], { cwd: CONSUMER }));
});

test("the package holds what was built, what it reads, and nothing of the tests", () => {
  const sources = globSync("{cli,components}/**/*.*", { cwd: REPOSITORY }).filter((path) =>
    statSync(join(REPOSITORY, path)).isFile(),
  );
  const built = sources
    .filter((path) => path !== "cli/edge-fleet.js")
    .flatMap((path) => (path.endsWith(".ts") ? [path.replace(/ts$/, "js"), path.replace(/ts$/, "d.ts")] : [path]));
  const schemas = Object.keys(inventorySchemas()).map((name) => `components/inventory/schema/${name}`);
  const documents = globSync("docs/*", { cwd: REPOSITORY });
  const own = [
    "CHANGELOG.md",
    "LICENSE",
    "Pulumi.yaml",
    "README.ja.md",
    "README.md",
    "cli/edge-fleet.js",
    "package.json",
  ];
  assert.deepEqual(
    files.toSorted(),
    [...[...built, ...schemas].map((path) => `dist/${path}`), ...documents, ...own].sort(),
  );
});

for (const release of RELEASES) {
  test(`the command checks and renders the example fleet on Node ${release}`, async () => {
    const tree = join(CONSUMER, `tree-${release}`);
    const folders = ["--inventory", join(REPOSITORY, "stacks"), "--tree", tree];
    const { version } = JSON.parse(readFileSync(join(REPOSITORY, "package.json"), "utf8")) as { version: string };
    assert.equal(succeeded(await edgeFleet(release, ["--version"])), `${version}\n`);
    assert.match(succeeded(await edgeFleet(release, ["--help"])), /^Usage: edge-fleet /);
    assert.match(succeeded(await edgeFleet(release, ["render", ...folders])), /^create \.fleet-manifest\.json$/m);
    succeeded(await edgeFleet(release, ["render", "--check", ...folders]));
    succeeded(await edgeFleet(release, ["check", ...folders]));
  });

  test(`the components can be imported on Node ${release}`, async () => {
    const program = 'import * as fleet from "edge-fleet"; console.log(Object.keys(fleet).sort().join());';
    const node = await nodeRelease(release);
    const listed = succeeded(await run(node, ["--input-type=module", "-e", program], { cwd: CONSUMER }));
    for (const name of ["Device", "Hub", "Region", "runStack"])
      assert.ok(listed.trim().split(",").includes(name), name);
    const inside = 'import "edge-fleet/dist/components/index.js";';
    assert.match(
      (await run(node, ["--input-type=module", "-e", inside], { cwd: CONSUMER })).stderr,
      /not exported|ERR_PACKAGE_PATH/,
    );
  });
}

for (const release of TOO_OLD) {
  test(`Node ${release} is told apart with one line`, async () => {
    const { exitCode, stdout, stderr } = await edgeFleet(release, ["--help"]);
    assert.deepEqual([exitCode, stdout], [2, ""]);
    assert.equal(
      stderr,
      `error: edge-fleet needs Node 22.18 or later, and this is ${release} - install it, e.g. from https://nodejs.org\n`,
    );
  });
}

test("a program is typed by the package's declarations, and a wrong argument is found", async () => {
  const program = 'import { Device, runStack } from "edge-fleet";\nexport default runStack;\n';
  writeFileSync(join(CONSUMER, "typed.ts"), `${program}export const device = new Device("a", 5);\n`);
  const tsc = createRequire(import.meta.url).resolve("typescript/lib/tsc.js");
  const types = join(REPOSITORY, "node_modules", "@types");
  const strict = "--noEmit --strict --skipLibCheck false --module nodenext --target es2024 --types node --typeRoots";
  const { stdout } = await run(process.execPath, [tsc, ...strict.split(" "), types, "typed.ts"], { cwd: CONSUMER });
  assert.match(stdout, /^typed\.ts\(3,\d+\): error TS2345: [^\n]+\n(?: +[^\n]*\n)*$/);
});

test("init makes a repository in an empty folder that installs the package, is checked, and runs under Pulumi", async () => {
  const { env } = await ensureToolchain(() => undefined, ["pulumi", "pulumi-language-nodejs"]);
  const [release = ""] = RELEASES;
  const root = processFolder("repository");
  const url = "https://git.example.com/acme/fleet.git";
  const flags = ["--name", "acme", "--git-url", url, "--region", "tokyo", "--devices", "2", "--yes"];
  succeeded(await edgeFleet(release, ["init", ...flags], root));
  succeeded(await run("npm", ["install", "--prefer-offline", join(CONSUMER, tarball)], { cwd: root }));
  succeeded(await run("npm", ["ls", "--depth", "0", "edge-fleet"], { cwd: root }));
  for (const command of [["render", "--check"], ["check"], ["init", ...flags]])
    succeeded(await edgeFleet(release, command, root));
  const schema = /^# yaml-language-server: \$schema=(.*)$/m.exec(readFileSync(join(root, "stacks/tokyo.yaml"), "utf8"));
  const [, path = "no schema line"] = schema ?? [];
  assert.ok(existsSync(join(root, "stacks", path)), path);
  writeFileSync(join(root, "stacks", "models.yaml"), "Not_A_Label: {}\n");
  const state = processFolder("state");
  const environment = { ...env, PULUMI_BACKEND_URL: `file://${state}`, PULUMI_CONFIG_PASSPHRASE: "of a test" };
  const pulumi = (...args: string[]) => run("pulumi", args, { cwd: root, env: environment });
  succeeded(await pulumi("stack", "init", "tokyo"));
  const { exitCode, stdout, stderr } = await pulumi("preview", "--non-interactive");
  assert.notEqual(exitCode, 0);
  assert.match(stdout + stderr, /error: .*stacks\/models\.yaml:1:1 Not_A_Label: the key is not a DNS-1123 label/s);
});
