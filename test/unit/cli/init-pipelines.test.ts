import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type TestContext, test } from "node:test";
import { parseDocument } from "yaml";
import { githubWorkflow } from "../../../cli/init/github.ts";
import { gitlabPipeline } from "../../../cli/init/gitlab.ts";
import { PULUMI_VERSION } from "../../../cli/init/pipeline.ts";
import { assertGolden } from "../../golden.ts";
import { MAIN } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const INPUT = { branch: "main", regions: ["tokyo", "osaka"], hub: "hub", inventoryOption: "", treeOption: "" };

interface Step {
  readonly run?: string;
  readonly uses?: string;
  readonly id?: string;
  readonly name?: string;
}

interface Job {
  readonly needs?: string | string[];
  readonly steps: readonly Step[];
  readonly permissions?: Record<string, string>;
  readonly concurrency?: { readonly group: string; readonly "cancel-in-progress": boolean };
}

/** Parses strictly: no error, no warning, no duplicate key. */
function parseStrictly(text: string): Record<string, unknown> {
  const document = parseDocument(text, { uniqueKeys: true, strict: true });
  assert.deepEqual([document.errors, document.warnings], [[], []]);
  return document.toJS() as Record<string, unknown>;
}

function shellcheck(script: string, shell: "bash" | "sh"): void {
  const { stdout, error } = spawnSync("shellcheck", [`--shell=${shell}`, "-"], { input: script, encoding: "utf8" });
  assert.deepEqual([error?.message, stdout], [undefined, ""], script);
}

const github = () => parseStrictly(githubWorkflow(INPUT)) as { jobs: Record<string, Job>; permissions: object };

test("the pipelines are as the golden files show", () => {
  const other = { ...INPUT, inventoryOption: " --inventory data", treeOption: " --tree gitops" };
  assertGolden("init/github.yml", githubWorkflow(INPUT));
  assertGolden("init/gitlab.yml", gitlabPipeline(INPUT));
  assert.match(githubWorkflow(other), /render --check --inventory data --tree gitops\n/);
});

test("the GitHub workflow previews pull requests and applies the hub before the regions, one at a time each", () => {
  const { jobs, permissions } = github();
  assert.deepEqual(permissions, { contents: "read" });
  assert.deepEqual(Object.keys(jobs), ["check", "preview", "hub", "region"]);
  assert.deepEqual(jobs.region?.needs, ["check", "hub"]);
  assert.match(jobs.region?.concurrency?.group ?? "", /^edge-fleet-\$\{\{ matrix\.region \}\}$/);
  assert.equal(jobs.region?.concurrency?.["cancel-in-progress"], false);
  for (const name of ["preview", "hub", "region"])
    assert.deepEqual(jobs[name]?.permissions, { contents: "read", "id-token": "write" });
  const uses = Object.values(jobs).flatMap(({ steps }) => steps.flatMap((step) => step.uses ?? []));
  assert.deepEqual([...new Set(uses)], ["actions/checkout@v4", "actions/setup-node@v4"]);
});

test("the scripts of the GitHub workflow pass shellcheck and hold no expression", () => {
  const scripts = Object.values(github().jobs).flatMap(({ steps }) => steps.flatMap((step) => step.run ?? []));
  assert.ok(scripts.length > 8);
  for (const script of scripts) {
    assert.ok(!script.includes("${{"), script);
    shellcheck(script, "bash");
  }
});

test("the GitLab pipeline has the same jobs in the same order, and its scripts pass shellcheck", () => {
  const pipeline = parseStrictly(gitlabPipeline(INPUT)) as Record<
    string,
    { script?: string[]; before_script?: string[] }
  >;
  assert.deepEqual(pipeline.stages, ["check", "preview", "hub", "region"]);
  assert.deepEqual(pipeline[".regions"], { parallel: { matrix: [{ REGION: ["tokyo", "osaka"] }] } });
  for (const name of ["check", "preview", "hub", "region", ".pulumi"]) {
    const lines = [...(pipeline[name]?.before_script ?? []), ...(pipeline[name]?.script ?? [])];
    assert.ok(lines.length > 0, name);
    // The variables come from GitLab.
    shellcheck(`# shellcheck disable=SC2154\n: start\n${lines.join("\n")}\n`, "bash");
  }
});

/** A folder with programs that stand in for those of a CI machine, first on PATH. */
function programs(context: TestContext, scripts: Readonly<Record<string, string>>): { PATH: string; folder: string } {
  const folder = mkdtempSync(join(temporaryDirectory(context), "bin-"));
  for (const [name, script] of Object.entries(scripts)) {
    writeFileSync(join(folder, name), script);
    chmodSync(join(folder, name), 0o755);
  }
  return { PATH: `${folder}${delimiter}${process.env.PATH}`, folder };
}

const NPX = `#!/bin/sh\nshift\nexec "${process.execPath}" "${MAIN}" "$@"\n`;

test("the matrix of both pipelines is what the inventory has", (context) => {
  const stacks = writeInventory(context, {
    "tokyo.yaml": "region: tokyo\n",
    "a.yaml": "region: a\n",
    "a-b.yaml": "region: a-b\n",
  });
  const cwd = join(stacks, "..");
  const { PATH } = programs(context, { npx: NPX, node: `#!/bin/sh\nexec "${process.execPath}" "$@"\n` });
  const output = join(cwd, "output");
  const script = github().jobs.check?.steps.find(({ id }) => id === "regions")?.run ?? "";
  const run = spawnSync("bash", ["-e", "-c", script], {
    cwd,
    env: { ...process.env, PATH, GITHUB_OUTPUT: output },
    encoding: "utf8",
  });
  assert.deepEqual([run.status, run.stderr], [0, ""]);
  assert.equal(readFileSync(output, "utf8"), 'regions=["a","a-b","tokyo"]\n');
  const check = (regions: string[]) => {
    const pipeline = parseStrictly(gitlabPipeline({ ...INPUT, regions })) as {
      check: { script: string[]; variables: { REGIONS: string } };
    };
    const env = { ...process.env, PATH, ...pipeline.check.variables };
    return spawnSync("bash", ["-e", "-c", pipeline.check.script.at(-1) ?? ""], { cwd, env, encoding: "utf8" });
  };
  assert.equal(check(["tokyo", "a", "a-b"]).status, 0);
  assert.deepEqual(
    [check(["tokyo"]).status, check(["tokyo"]).stdout],
    [1, "the regions in .gitlab-ci.yml are stale\n"],
  );
});

test("the Pulumi CLI is unpacked only when its hash is that of the release's list", (context) => {
  const release = temporaryDirectory(context);
  mkdirSync(join(release, "pulumi"));
  writeFileSync(join(release, "pulumi", "pulumi"), "#!/bin/sh\necho real\n", { mode: 0o755 });
  const tarball = `pulumi-v${PULUMI_VERSION}-linux-x64.tar.gz`;
  assert.equal(spawnSync("tar", ["-czf", tarball, "pulumi"], { cwd: release }).status, 0);
  const hash = createHash("sha256")
    .update(readFileSync(join(release, tarball)))
    .digest("hex");
  // Serves the release from a folder: -O saves under the URL's last part, else the file goes to stdout.
  const curl = `#!/bin/sh\nfor url; do :; done\ncase $1 in *O) cp "${release}/\${url##*/}" . ;; *) cat "${release}/\${url##*/}" ;; esac\n`;
  const { PATH } = programs(context, { curl });
  const script = github().jobs.hub?.steps.find(({ name }) => name?.startsWith("Install"))?.run ?? "";
  const install = (listed: string) => {
    const home = temporaryDirectory(context);
    writeFileSync(
      join(release, `pulumi-${PULUMI_VERSION}-checksums.txt`),
      `${"0".repeat(64)}  other.tar.gz\n${listed}  ${tarball}\n`,
    );
    const env = {
      ...process.env,
      PATH,
      HOME: home,
      PULUMI_VERSION,
      PULUMI_RELEASE: "https://x",
      GITHUB_PATH: join(home, "path"),
    };
    const { status } = spawnSync("bash", ["-e", "-c", script], { cwd: home, env });
    return { status, installed: spawnSync(join(home, "pulumi", "pulumi"), { encoding: "utf8" }).stdout };
  };
  assert.deepEqual(install(hash), { status: 0, installed: "real\n" });
  assert.equal(install("f".repeat(64)).status, 1);
  assert.equal(install("f".repeat(64)).installed, undefined);
});
