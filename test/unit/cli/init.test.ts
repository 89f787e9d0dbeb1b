import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { type Answers, problemWith, withoutCredentials } from "../../../cli/init/answers.ts";
import { fillPattern, numberedDevices } from "../../../cli/init/devices.ts";
import { type Ask, askAnswers, withDefaults } from "../../../cli/init/questions.ts";
import { loadInventory, resolveFleet } from "../../../components/inventory/index.ts";
import { assertGolden } from "../../golden.ts";
import { edgeFleet, MAIN } from "./command.ts";
import { temporaryDirectory } from "./inventory.ts";

const URL = "https://git.example.com/acme/fleet.git";
const FLAGS = ["--name", "acme", "--git-url", URL, "--yes"];

/** Runs init in an empty folder. */
async function initIn(context: TestContext, ...args: string[]) {
  const cwd = temporaryDirectory(context);
  return { cwd, ...(await edgeFleet(["init", ...args], { cwd })) };
}

function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

const GOLDEN = [
  "package.json",
  "index.ts",
  ".gitignore",
  "stacks/fleet.yaml",
  "stacks/models.yaml",
  "stacks/tokyo.yaml",
  "stacks/tokyo.csv",
  "stacks/Pulumi.tokyo.yaml",
];

test("a new fleet with devices is written as the golden files show, and its tree is up to date", async (context) => {
  const { cwd, exitCode, stdout, stderr } = await initIn(
    context,
    ...FLAGS,
    "--region",
    "tokyo",
    "--devices",
    "12",
    "--memory",
    "2Gi",
  );
  assert.deepEqual([exitCode, stderr], [0, ""]);
  for (const file of GOLDEN)
    assertGolden(`init/${file.replace("/", "-").replace(/^\./, "")}`, readFileSync(join(cwd, file), "utf8"));
  const check = await edgeFleet(["render", "--check"], { cwd });
  assert.equal(check.exitCode, 0, check.stdout);
  const profiles = resolveFleet(loadInventory(join(cwd, "stacks")));
  assert.deepEqual(
    profiles.map(({ ring, gitops }) => [ring, gitops.engine]),
    ["canary", "early", ...Array(9).fill("broad"), "early"].map((ring) => [ring, "argocd"]),
  );
  assert.match(
    stdout,
    /^Next: git init -b main && npm install, then: npx edge-fleet lock && npx edge-fleet enroll tokyo/m,
  );
  assert.equal(readFileSync(join(cwd, "Pulumi.yaml"), "utf8"), readFileSync(join(MAIN, "../../Pulumi.yaml"), "utf8"));
});

test("in a clone nobody is told to begin a repository", async (context) => {
  const cwd = temporaryDirectory(context);
  execFileSync("git", ["init", "--quiet", cwd]);
  const { stdout } = await edgeFleet(["init", ...FLAGS, "--region", "tokyo"], { cwd });
  assert.match(stdout, /^Next: npm install, then: npx edge-fleet lock/m);
});

test("the commented examples are good once their # is taken away", async (context) => {
  const { cwd } = await initIn(context, ...FLAGS, "--region", "tokyo", "--user", "edge", "--ci", "none");
  assert.equal(existsSync(join(cwd, ".github")), false);
  const file = join(cwd, "stacks", "tokyo.yaml");
  const [head = "", examples = ""] = readFileSync(file, "utf8").split("# devices:");
  writeFileSync(file, `${head}devices:${examples.replaceAll("\n# ", "\n")}`);
  const models = join(cwd, "stacks", "models.yaml");
  writeFileSync(
    models,
    readFileSync(models, "utf8").replace(/# kiosk-8g:.*/s, (block) => block.replaceAll(/^# /gm, "")),
  );
  const inventory = loadInventory(join(cwd, "stacks"));
  assert.deepEqual(
    resolveFleet(inventory).map(({ id, host, model, ring, ssh }) => [id, host, model, ring, ssh.user]),
    [["tokyo-0001", "tokyo-0001.edge.example.com", "arm64-4g", "canary", "edge"]],
  );
  assert.deepEqual(inventory.models["kiosk-8g"]?.wasm, ["spin"]);
});

test("5,000 devices in 13 regions load, have a tree, and are all different", async (context) => {
  const regions = Array.from({ length: 13 }, (_, index) => `region-${index + 1}`);
  const pattern = "{n:04}.{region}.edge.example.com";
  const { cwd, exitCode, stderr } = await initIn(
    context,
    ...[...FLAGS, "--region", ...regions, "--devices", "5000", "--host-pattern", pattern],
  );
  assert.deepEqual([exitCode, stderr], [0, ""]);
  const profiles = resolveFleet(loadInventory(join(cwd, "stacks")));
  assert.equal(profiles.length, 5000);
  assert.equal(new Set(profiles.map(({ host }) => host)).size, 5000);
  const check = await edgeFleet(["render", "--check"], { cwd });
  assert.equal(check.exitCode, 0, check.stdout);
});

test("a model without room for Argo CD pulls nothing, and says so", async (context) => {
  const { cwd } = await initIn(context, ...FLAGS, "--region", "tokyo", "--devices", "1", "--memory", "1Gi");
  const [profile] = resolveFleet(loadInventory(join(cwd, "stacks")));
  assert.equal(profile?.gitops.engine, "none");
});

test("devices from a CSV file, spread by its column region", async (context) => {
  const cwd = temporaryDirectory(context);
  const rows = ["box-1,10.0.0.1,tokyo,pi,hunter2", "box-2,10.0.0.2,osaka,,x", "box-3,10.0.0.3,tokyo,,x"];
  writeFileSync(join(cwd, "assets.csv"), `hostname,ip,region,ssh.user,password\n${rows.join("\n")}\n`);
  const { exitCode, stderr } = await edgeFleet(["init", ...FLAGS, "--csv", "assets.csv"], { cwd });
  assert.equal(exitCode, 0, stderr);
  const profiles = resolveFleet(loadInventory(join(cwd, "stacks")));
  assert.deepEqual(
    profiles.map(({ id, region, ssh }) => [id, region, ssh.user]),
    [
      ["box-2", "osaka", "root"],
      ["box-1", "tokyo", "pi"],
      ["box-3", "tokyo", "root"],
    ],
  );
  for (const file of filesBelow(join(cwd, "stacks"))) assert.ok(!readFileSync(file, "utf8").includes("hunter2"), file);
});

test("init writes nothing where a file is in the way, lists all of them, and touches none", async (context) => {
  const cwd = temporaryDirectory(context);
  mkdirSync(join(cwd, "stacks"));
  mkdirSync(join(cwd, ".github", "workflows"), { recursive: true });
  const own: [path: string, fix: string][] = [
    ["Pulumi.yaml", ""],
    ["package.json", " - npm install edge-fleet && npm pkg set type=module"],
    ["index.ts", ""],
    [".gitignore", " - add the lines node_modules/ .edge-fleet/ .fleet-write/"],
    [".gitattributes", " - add the line * text=auto eol=lf"],
    ["stacks/fleet.yaml", ""],
    [".github/workflows/edge-fleet.yml", ""],
  ];
  for (const [file] of own) writeFileSync(join(cwd, file), "mine\n");
  const { exitCode, stdout, stderr } = await edgeFleet(["init", ...FLAGS, "--region", "tokyo"], { cwd });
  assert.deepEqual([exitCode, stdout], [2, ""]);
  const listed = own.map(([file, fix]) => `  ${file}${fix}\n`).join("");
  assert.ok(
    stderr.includes(`init overwrites nothing, and 7 file(s) are in the way below .:\n${listed}nothing was`),
    stderr,
  );
  for (const [file] of own) assert.equal(readFileSync(join(cwd, file), "utf8"), "mine\n");
  assert.equal(filesBelow(cwd).length, own.length);
});

test("init again with the same answers changes nothing and fails at nothing", async (context) => {
  const { cwd } = await initIn(context, ...FLAGS, "--region", "tokyo", "--devices", "3");
  const before = filesBelow(cwd).map((file) => [file, readFileSync(file, "utf8")]);
  const again = await edgeFleet(["init", ...FLAGS, "--region", "tokyo", "--devices", "3"], { cwd });
  assert.equal(again.exitCode, 0, again.stderr);
  assert.match(again.stdout, /^unchanged stacks\/fleet\.yaml$/m);
  assert.deepEqual(
    filesBelow(cwd).map((file) => [file, readFileSync(file, "utf8")]),
    before,
  );
});

const kept: [path: string, text: string][] = [
  [".gitattributes", "*.png binary\n* text=auto eol=lf\n"],
  [".gitignore", "*.log\nnode_modules/\n.fleet-write/\n.edge-fleet/\n"],
  ["package.json", '{ "type": "module", "dependencies": { "edge-fleet": "file:edge-fleet-0.1.0.tgz" } }'],
];

for (const [path, text] of kept)
  test(`a ${path} that does already is left as it is`, async (context) => {
    const cwd = temporaryDirectory(context);
    writeFileSync(join(cwd, path), text);
    const { exitCode, stdout, stderr } = await edgeFleet(["init", ...FLAGS, "--region", "tokyo"], { cwd });
    assert.equal(exitCode, 0, stderr);
    assert.match(stdout, new RegExp(`^unchanged ${path.replaceAll(".", "\\.")}$`, "m"));
    assert.equal(readFileSync(join(cwd, path), "utf8"), text);
  });

test("a dry run lists the files, writes none, and ends with 2 where some are in the way", async (context) => {
  const { cwd, exitCode, stdout } = await initIn(context, ...FLAGS, "--region", "tokyo", "--dry-run", "--json");
  assert.equal(exitCode, 0);
  const { files, tree } = JSON.parse(stdout) as { files: { path: string; state: string }[]; tree: string[] };
  assert.ok(files.some(({ path, state }) => path === "stacks/Pulumi.hub.yaml" && state === "create"));
  assert.ok(tree.includes("base/kustomization.yaml"));
  assert.deepEqual(filesBelow(cwd), []);
  writeFileSync(join(cwd, ".gitattributes"), "mine\n");
  const again = await edgeFleet(["init", ...FLAGS, "--region", "tokyo", "--dry-run"], { cwd });
  assert.equal(again.exitCode, 2);
  assert.match(again.stdout, /^refuse \.gitattributes$/m);
});

test("other folders are written into the project, the Git path and the pipeline", async (context) => {
  const folders = ["--inventory", "data/inventory", "--tree", "gitops"];
  const { cwd, exitCode, stderr } = await initIn(context, ...FLAGS, "--region", "tokyo", ...folders);
  assert.equal(exitCode, 0, stderr);
  const read = (path: string): string => readFileSync(join(cwd, path), "utf8");
  const project = parse(read("Pulumi.yaml")) as {
    stackConfigDir: string;
    config: Record<string, { default: unknown }>;
  };
  assert.deepEqual(
    [project.stackConfigDir, ...["inventory", "tree"].map((key) => project.config[`edge-fleet:${key}`]?.default)],
    ["data/inventory", "data/inventory", "gitops"],
  );
  assert.match(read("data/inventory/Pulumi.tokyo.yaml"), /^config: \{\}$/m);
  assert.match(read("data/inventory/tokyo.yaml"), /\$schema=\.\.\/\.\.\/node_modules\/edge-fleet\/dist\//);
  assert.equal(loadInventory(join(cwd, "data/inventory")).fleet.git.path, "gitops");
  assert.match(read(".github/workflows/edge-fleet.yml"), /render --check --inventory data\/inventory --tree gitops\n/);
  assert.equal((await edgeFleet(["render", "--check", ...folders], { cwd })).exitCode, 0);
});

const wrong: { args: string[]; message: RegExp }[] = [
  { args: [], message: /nobody can be asked here - use --name, --git-url, --region/ },
  { args: ["--name", "a", "--git-url", URL, "--region", "b"], message: /use --yes, or --dry-run/ },
  { args: [...FLAGS, "--region", "Tokyo"], message: /--region Tokyo: is not a DNS-1123 label/ },
  { args: [...FLAGS, "--region", "hub"], message: /--region hub: is the name of another file or stack/ },
  {
    args: ["--name", "a", "--git-url", "tokyo", "--region", "a", "--yes"],
    message: /--git-url tokyo: is no URL - write e\.g\./,
  },
  { args: [...FLAGS, "--region", "a", "a"], message: /--region a is given twice/ },
  { args: [...FLAGS, "--region", "a", "--memory", "4GB"], message: /--memory 4GB: is not a memory size/ },
  { args: [...FLAGS, "--region", "a", "--devices", "many"], message: /--devices many: is not a number of devices/ },
  { args: [...FLAGS, "--region", "a", "--architecture", "x86"], message: /--architecture x86: is not an architecture/ },
  {
    args: [...FLAGS, "--region", "a", "--host-pattern", "box"],
    message: /--host-pattern box: does not number the hosts/,
  },
  { args: [...FLAGS, "--region", "a", "--inventory", "../x"], message: /--inventory \.\.\/x is not a folder below/ },
  {
    args: [...FLAGS, "--region", "a", "--release", "v1.36"],
    message: /stacks\/fleet\.yaml:\d+:\d+ k3s\.version: is not a K3s release/,
  },
  { args: [...FLAGS, "--region", "a", "--devices", "2", "--csv", "x.csv"], message: /--devices and --csv both say/ },
  {
    args: [...FLAGS, "--region", "a", "--distribution", "microk8s", "--memory", "2Gi"],
    message: /--distribution microk8s needs 4Gi/,
  },
  {
    args: ["--name", "a", "--git-url", "https://me:hunter2@git.example.com/x", "--region", "a", "--yes"],
    message: /--git-url https:\/\/git\.example\.com\/x: holds a user or a password - leave it out/,
  },
];

for (const { args, message } of wrong) {
  test(`init ${args.join(" ")} ends with 2, says what to do and writes nothing`, async (context) => {
    const { cwd, exitCode, stdout, stderr } = await initIn(context, ...args);
    assert.deepEqual([exitCode, stdout], [2, ""]);
    assert.match(stderr, message);
    assert.doesNotMatch(stderr, /hunter2/);
    assert.deepEqual(filesBelow(cwd), []);
  });
}

/** A person who types these lines, and what they read. */
function person(lines: readonly string[]): { ask: Ask; said: string[] } {
  const rest = [...lines];
  const said: string[] = [];
  const ask = async (question: string): Promise<string> => {
    said.push(question);
    const line = rest.shift();
    assert.ok(line !== undefined, `asked too much: ${question}`);
    return line;
  };
  return { ask, said };
}

test("the questions show their defaults, take them for an empty line, and ask again after a wrong answer", async () => {
  const { ask, said } = person(["Acme", "acme", "", "tokyo osaka,Paris", "tokyo, osaka", "", "", "", "", "", "none"]);
  const answers = await askAnswers({}, ask, (line) => said.push(line), { remote: URL, listed: false });
  const expected: Answers = withDefaults({ name: "acme", gitUrl: URL, regions: ["tokyo", "osaka"], ci: "none" });
  assert.deepEqual(answers, expected);
  assert.deepEqual(said, [
    "Name of the fleet: ",
    "  Acme: is not a DNS-1123 label - use lower-case letters, digits and inner hyphens",
    "Name of the fleet: ",
    `Git URL of this repository, as devices reach it [${URL}]: `,
    "Regions, with commas between: ",
    "  tokyo osaka,Paris: is not a DNS-1123 label - use lower-case letters, digits and inner hyphens",
    "Regions, with commas between: ",
    "Devices to list, all regions together (0: examples to fill in) [0]: ",
    "Architecture: arm64 or amd64 [arm64]: ",
    "Memory of a device [4Gi]: ",
    "Kubernetes: k3s, k0s or microk8s [k3s]: ",
    "SSH user [root]: ",
    "CI: github, gitlab or none [github]: ",
  ]);
});

test("what a flag says is not asked for", async () => {
  const given = { name: "a", gitUrl: URL, regions: ["b"], devices: 4, architecture: "amd64", memory: "8Gi" } as const;
  const { ask, said } = person(["", "k0s", "", ""]);
  const answers = await askAnswers(given, ask, () => undefined, { remote: undefined, listed: false });
  assert.deepEqual([answers.model, answers.distribution, answers.release.includes("k0s")], ["amd64-8g", "k0s", true]);
  assert.equal(said.length, 4);
});

/** Runs init on a terminal and types each line once its question stands there. */
async function onTerminal(
  context: TestContext,
  args: readonly string[],
  typed: readonly [question: string, line: string][],
  present: readonly string[] = [],
) {
  const cwd = temporaryDirectory(context);
  for (const path of present) writeFileSync(join(cwd, path), "mine\n");
  const command = [process.execPath, MAIN, "init", ...args].map((word) => `'${word}'`).join(" ");
  const child = spawn("script", ["-qec", command, "/dev/null"], { cwd });
  const rest = [...typed];
  let output = "";
  let shown = "";
  child.stdout.on("data", (chunk: Buffer) => {
    output += chunk.toString("utf8");
    shown += chunk.toString("utf8");
    if (rest[0] === undefined || !output.includes(rest[0][0])) return;
    output = "";
    child.stdin.write(rest.shift()?.[1] ?? "");
  });
  const [exitCode] = (await once(child, "close")) as [number];
  return { cwd, exitCode, asked: typed.length - rest.length, shown };
}

const terminal: { name: string; typed: [string, string][]; exitCode: number; written: boolean }[] = [
  {
    name: "yes by an empty line",
    typed: [
      ["SSH user", "edge\n"],
      ["CI:", "none\n"],
      ["Write these", "\n"],
    ],
    exitCode: 0,
    written: true,
  },
  {
    name: "no",
    typed: [
      ["SSH user", "\n"],
      ["CI:", "\n"],
      ["Write these", "n\n"],
    ],
    exitCode: 2,
    written: false,
  },
  { name: "Ctrl-C at a question", typed: [["SSH user", "\u0003"]], exitCode: 2, written: false },
];

for (const { name, typed, exitCode, written } of terminal) {
  test(`on a terminal the person decides: ${name}`, { timeout: 60_000 }, async (context) => {
    const given = ["--architecture", "arm64", "--memory", "4Gi", "--distribution", "k3s", "--devices", "0"];
    const run = await onTerminal(context, [...FLAGS.slice(0, -1), "--region", "tokyo", ...given], typed);
    assert.deepEqual([run.exitCode, run.asked], [exitCode, typed.length]);
    assert.equal(existsSync(join(run.cwd, "stacks", "fleet.yaml")), written);
    if (written) assert.match(readFileSync(join(run.cwd, "stacks", "fleet.yaml"), "utf8"), /user: edge$/m);
  });
}

test("what is in the way is told before the first question", { timeout: 60_000 }, async (context) => {
  const { exitCode, shown } = await onTerminal(context, [], [], [".gitlab-ci.yml", "index.ts"]);
  assert.equal(exitCode, 2);
  assert.match(shown, /^error: init overwrites nothing, and 2 file/);
  assert.match(shown, /^ {2}\.gitlab-ci\.yml - --ci none keeps it/m);
});

test("numbered devices are as many as asked for, spread evenly, with ids of one width", () => {
  const sizes = fc.record({ regions: fc.integer({ min: 1, max: 20 }), devices: fc.integer({ min: 0, max: 3000 }) });
  fc.assert(
    fc.property(sizes, ({ regions, devices }) => {
      const names = Array.from({ length: regions }, (_, index) => `r${index}`);
      const listed = numberedDevices({ regions: names, devices, hostPattern: "{region}-{n}", model: "box" });
      const counts = [...listed.values()].map((rows) => rows.length);
      assert.equal(
        counts.reduce((sum, count) => sum + count, 0),
        devices,
      );
      assert.ok(Math.max(...counts) - Math.min(...counts) <= 1);
      for (const rows of listed.values()) {
        assert.ok(rows.length === 0 || rows[0]?.ring === "canary");
        assert.ok(new Set(rows.map(({ id }) => String(id).length)).size <= 1);
      }
    }),
    { numRuns: 30 },
  );
});

test("host patterns fill in the region and the number, padded or not", () => {
  assert.equal(fillPattern("{region}-{n:04}.x", "tokyo", 7), "tokyo-0007.x");
  assert.equal(fillPattern("10.0.{n}.1", "tokyo", 12345), "10.0.12345.1");
});

const urls: [url: string, shown: string][] = [
  ["https://token@git.example.com/x.git", "https://git.example.com/x.git"],
  ["https://me:a@b@git.example.com/x.git", "https://git.example.com/x.git"],
  ["ssh://git:secret@git.example.com/x.git", "ssh://git@git.example.com/x.git"],
  ["ssh://git@git.example.com:2222/x.git", "ssh://git@git.example.com:2222/x.git"],
  ["git@git.example.com:acme/x.git", "git@git.example.com:acme/x.git"],
  [URL, URL],
];

for (const [url, shown] of urls) {
  test(`of the URL ${url} no credential is kept`, () => {
    assert.equal(withoutCredentials(url), shown);
    assert.equal(problemWith("git-url", url) === undefined, url === shown);
  });
}
