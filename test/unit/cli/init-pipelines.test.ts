import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join, matchesGlob } from "node:path";
import { type TestContext, test } from "node:test";
import { parseDocument } from "yaml";
import { githubWorkflow } from "../../../cli/init/github.ts";
import { gitlabPipeline } from "../../../cli/init/gitlab.ts";
import { assertGolden } from "../../golden.ts";
import { ensureToolchain } from "../../lab/toolchain/index.ts";
import { temporaryDirectory } from "./inventory.ts";

const INPUT = {
  branch: "main",
  regions: ["tokyo", "osaka"],
  hub: "hub",
  inventory: "stacks",
  inventoryOption: "",
  treeOption: "",
};
interface Step {
  readonly run?: string;
  readonly uses?: string;
  readonly id?: string;
  readonly name?: string;
}

interface Job {
  readonly steps: readonly Step[];
  readonly permissions?: Record<string, string>;
  readonly environment?: string;
  readonly concurrency?: { readonly group: string; readonly "cancel-in-progress": boolean };
}

interface Workflow {
  readonly on: { readonly push: { readonly paths: readonly string[] } };
  readonly jobs: Record<string, Job>;
  readonly permissions: object;
}

/** Parses strictly: no error, no warning, no duplicate key. */
function parseStrictly(text: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true, strict: true });
  assert.deepEqual([document.errors, document.warnings], [[], []]);
  return document.toJS();
}

const github = () => parseStrictly(githubWorkflow(INPUT)) as Workflow;
test("the pipelines are as the golden files show", () => {
  const other = { ...INPUT, inventory: "data", inventoryOption: " --inventory data", treeOption: " --tree gitops" };
  assertGolden("init/github.yml", githubWorkflow(INPUT));
  assertGolden("init/gitlab.yml", gitlabPipeline(INPUT));
  for (const text of [githubWorkflow(other), gitlabPipeline(other)]) {
    assert.match(text, /render --check --inventory data --tree gitops\n/);
    assert.match(text, /^ +- "data\/\*\*"$/m);
  }
});

test("actionlint finds nothing in the GitHub workflow, its shell included, and does find a mistake", async (context) => {
  const { parts } = await ensureToolchain(() => undefined, ["actionlint"]);
  const file = join(temporaryDirectory(context), "edge-fleet.yml");
  const lint = (text: string) => {
    writeFileSync(file, text);
    return spawnSync(parts[0]?.path ?? "", ["-shellcheck", "shellcheck", file], { encoding: "utf8" });
  };
  const { status, stdout, stderr } = lint(githubWorkflow(INPUT));
  assert.deepEqual([status, stdout, stderr], [0, "", ""]);
  assert.match(
    lint(githubWorkflow(INPUT).replace("needs.check.outputs.all", "needs.check.outputs.none")).stdout,
    /"none"/,
  );
});

test("each action is pinned by the commit of the release that the comment names", () => {
  const uses = [...githubWorkflow(INPUT).matchAll(/uses: (.*)/g)].map(([, action = ""]) => action);
  assert.deepEqual(
    [...new Set(uses.map((action) => action.replace(/@[0-9a-f]{40} # v\d+\.\d+\.\d+$/, "")))],
    ["actions/checkout", "actions/setup-node", "pulumi/actions"],
  );
});

test("each stack has its environments, each applied one its concurrency group, and few permissions", () => {
  const { jobs, permissions } = github();
  assert.deepEqual(permissions, { contents: "read" });
  const { preview, hub, region } = jobs;
  const stack = "$" + "{{ matrix.stack }}";
  assert.deepEqual([preview?.environment, hub?.environment, region?.environment], [`${stack}-preview`, "hub", stack]);
  assert.deepEqual(
    [hub, region].map((job) => job?.concurrency),
    ["edge-fleet-hub", `edge-fleet-${stack}`].map((group) => ({ group, "cancel-in-progress": false })),
  );
  assert.deepEqual(preview?.permissions, { contents: "read", "id-token": "write", "pull-requests": "write" });
});

const pushes: [file: string, applies: boolean][] = [
  ["stacks/tokyo.lock.yaml", true],
  ["stacks/lists/shops.csv", true],
  ["package-lock.json", true],
  ["fleet/rings/broad.yaml", false],
  ["fleet/entry/broad/tokyo/pi/kustomization.yaml", false],
  ["README.md", false],
];

/** A repository that init has made, with origin/main at its commit, where GitLab's variables are asked for. */
function gitlabRepository(context: TestContext, pipeline = gitlabPipeline(INPUT)): string {
  const cwd = temporaryDirectory(context);
  writeFileSync(join(cwd, ".gitlab-ci.yml"), pipeline);
  for (const line of [
    "init -q -b main",
    "remote add origin https://git.example.com/acme/fleet.git",
    "add -A",
    "-c user.name=a -c user.email=a@example.com commit -qm begin",
    "update-ref refs/remotes/origin/main HEAD",
    "symbolic-ref refs/remotes/origin/HEAD refs/remotes/origin/main",
  ])
    assert.equal(spawnSync("git", ["-C", cwd, ...line.split(" ")]).status, 0, line);
  return cwd;
}

/** Runs GitLab's pipeline reader: it validates with GitLab's JSON schema, and evaluates rules. */
function gitlab(cwd: string, args: readonly string[], source = "push") {
  const tool = createRequire(import.meta.url)
    .resolve("gitlab-ci-local/package.json")
    .replace("package.json", "dist/index.js");
  const predefined = `CI_PIPELINE_SOURCE=${source}`;
  return spawnSync(process.execPath, [tool, "--variable", predefined, ...args], { cwd, encoding: "utf8" });
}

test("the GitLab pipeline is valid by GitLab's JSON schema, and a mistake is not", (context) => {
  const cwd = gitlabRepository(context);
  const { status, stdout, stderr } = gitlab(cwd, ["--list"]);
  assert.equal(status, 0, stdout + stderr);
  assert.match(stdout + stderr, /json schema validated/);
  writeFileSync(join(cwd, ".gitlab-ci.yml"), gitlabPipeline(INPUT).replace("resource_group:", "resource_groups:"));
  assert.notEqual(gitlab(cwd, ["--list"]).status, 0);
});

for (const [file, applies] of pushes)
  test(`a push of ${file} applies ${applies ? "the stacks" : "nothing"}`, () => {
    const { workflow } = parseStrictly(gitlabPipeline(INPUT).replace(/!reference/g, "")) as {
      workflow: { rules: { changes?: string[] }[] };
    };
    for (const paths of [github().on.push.paths, workflow.rules.flatMap(({ changes = [] }) => changes)])
      assert.equal(
        paths.some((path) => matchesGlob(file, path)),
        applies,
      );
  });

function gitlabJobs(stdout: string): string[] {
  const jobs = JSON.parse(stdout.slice(stdout.indexOf("[\n"))) as { name: string; when: string }[];
  return jobs.filter(({ when }) => when !== "never").map(({ name }) => name);
}

const sources: [source: string, jobs: string[]][] = [
  ["push", ["check", "hub", "region: [tokyo]", "region: [osaka]"]],
  ["merge_request_event", ["check", "preview: [hub]", "preview: [tokyo]", "preview: [osaka]"]],
  ["schedule", ["check", "region: [tokyo]", "region: [osaka]"]],
];

for (const [source, jobs] of sources)
  test(`a pipeline of GitLab that comes from ${source} runs ${jobs.join(", ")}`, (context) => {
    const { stdout, stderr } = gitlab(gitlabRepository(context), ["--list-json"], source);
    assert.deepEqual(gitlabJobs(stdout), jobs, stderr);
  });
