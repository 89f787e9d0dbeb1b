/**
 * Runs the shell of the pipelines that init writes, step by step, in a repository that init has made. Git, ssh-agent,
 * ssh-add and edge-fleet are real. Stubs on PATH, which write down how they are called: `pulumi`; `gh` and `curl`, which
 * would call a forge; `npm`, which would install.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { before, type TestContext, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { parse } from "yaml";
import { processFolder } from "../../temporary.ts";
import { edgeFleet, MAIN } from "./command.ts";
import { temporaryDirectory } from "./inventory.ts";

const REPOSITORY = processFolder("pipeline");
const HOME = processFolder("pipeline-home");
const BIN = join(HOME, "bin");
/** What the stubs wrote down, one call a line. */
const CALLS = join(HOME, "calls");
const KEY = join(HOME, "key");

const STUBS: Readonly<Record<string, string>> = {
  npx: `shift; exec "${process.execPath}" "${MAIN}" "$@"`,
  npm: "exit 0",
  pulumi: `echo "pulumi $* key=$(ssh-add -l 2>/dev/null | cut -d ' ' -f 2) secret=\${EDGE_FLEET_SSH_KEY:+shown}" >> "${CALLS}"
if [ -n "\${KUBECONFIG:-}" ]; then echo "kubeconfig $(stat -c %a "$KUBECONFIG") $(cat "$KUBECONFIG")" >> "${CALLS}"; fi
if [ -n "\${EDGE_FLEET_SUMMARY:-}" ]; then echo "1 device changes" > "$EDGE_FLEET_SUMMARY"; fi
exit "\${PULUMI_EXIT:-0}"`,
  gh: `echo "gh $*" >> "${CALLS}"; case "$*" in *--paginate*) printf '%s' "\${OLD_COMMENT:-}" ;; esac`,
};

const git = (...args: string[]) => {
  const identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
  const { status, stderr } = spawnSync("git", ["-C", REPOSITORY, ...identity, ...args], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
};

before(async () => {
  mkdirSync(BIN);
  for (const [name, text] of Object.entries(STUBS))
    writeFileSync(join(BIN, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
  assert.equal(spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", KEY]).status, 0);
  for (const ci of ["github", "gitlab"]) {
    const url = "https://git.example.com/acme/fleet.git";
    const flags = ["--name", "acme", "--git-url", url, "--region", "tokyo", "osaka", "--devices", "2", "--yes"];
    const { exitCode, stderr } = await edgeFleet(["init", ...flags, "--ci", ci], { cwd: REPOSITORY });
    assert.equal(exitCode, 0, stderr);
  }
  git("init", "-q", "-b", "main");
  git("add", "-A");
  git("commit", "-qm", "begin");
});

/** Runs a step's shell as the CI system does, and returns what the stubs wrote down. */
function step(script: string, environment: Readonly<Record<string, string>>) {
  rmSync(CALLS, { force: true });
  const env = {
    ...process.env,
    HOME,
    PATH: [BIN, process.env.PATH].join(delimiter),
    RUNNER_TEMP: HOME,
    GITHUB_STEP_SUMMARY: join(HOME, "step-summary"),
    GITHUB_OUTPUT: join(HOME, "output"),
    ...environment,
  };
  const { status, stdout, stderr } = spawnSync("bash", ["--noprofile", "--norc", "-eo", "pipefail", "-c", script], {
    cwd: REPOSITORY,
    env,
    encoding: "utf8",
  });
  const calls = existsSync(CALLS) ? readFileSync(CALLS, "utf8").trimEnd().split("\n") : [];
  return { status, output: stdout + stderr, calls };
}

/** The shell of GitHub's step with this id, or a name that begins so. */
function githubStep(job: string, words: string): string {
  const text = readFileSync(join(REPOSITORY, ".github/workflows/edge-fleet.yml"), "utf8");
  const { jobs } = parse(text) as { jobs: Record<string, { steps: { id?: string; name?: string; run?: string }[] }> };
  return jobs[job]?.steps.find(({ id, name }) => id === words || name?.startsWith(words))?.run ?? assert.fail(words);
}

/** The shell of GitLab's job, with what it refers to, but for the installation of Pulumi. */
function gitlabScript(job: string, part: "script" | "after_script" = "script"): string {
  const text = readFileSync(join(REPOSITORY, ".gitlab-ci.yml"), "utf8").replaceAll(
    "!reference [.install, script]",
    '":"',
  );
  return ((parse(text) as Record<string, Record<string, string[]>>)[job]?.[part] ?? assert.fail(job)).join("\n");
}

/** Commits one more line of a file. */
function commit(path: string): void {
  const file = join(REPOSITORY, path);
  mkdirSync(dirname(file), { recursive: true });
  appendFileSync(file, "\n");
  git("add", path);
  git("commit", "-qm", `change ${path}`);
}

const changes: [path: string, stacks: string[]][] = [
  ["fleet/rings/broad.yaml", []],
  ["stacks/tokyo.yaml", ["hub", "tokyo"]],
  ["stacks/models.yaml", ["hub", "osaka", "tokyo"]],
];

for (const [path, stacks] of changes)
  test(`on GitHub and GitLab a change of ${path} previews ${stacks.join(", ") || "nothing"}`, () => {
    commit(path);
    const output = join(HOME, "output");
    rmSync(output, { force: true });
    const { status, output: said } = step(githubStep("check", "stacks"), { GITHUB_EVENT_NAME: "pull_request" });
    assert.equal(status, 0, said);
    const [, all = "", changed = ""] =
      /^all<<EOF\n(.*)^EOF\nchanged<<EOF\n(.*)^EOF\n$/ms.exec(readFileSync(output, "utf8")) ?? [];
    assert.deepEqual(JSON.parse(all), { stacks: ["hub", "osaka", "tokyo"], regions: ["osaka", "tokyo"] });
    assert.deepEqual((JSON.parse(changed) as { stacks: string[] }).stacks, stacks);
    const previewed = ["hub", "tokyo", "osaka"].filter((stack) => {
      const { calls } = step(gitlabScript("preview"), { STACK: stack, CI_MERGE_REQUEST_DIFF_BASE_SHA: "HEAD^" });
      return calls.includes(`pulumi preview --stack ${stack} --diff key= secret=`);
    });
    assert.deepEqual(previewed.sort(), stacks);
  });

test("a step fails where edge-fleet does, and so nothing is applied by a list that is not right", () => {
  const { status } = step(githubStep("check", "stacks").replace("HEAD^1", "nowhere"), {
    GITHUB_EVENT_NAME: "pull_request",
  });
  assert.notEqual(status, 0);
});

test("the preview of a region has no kubeconfig, the hub's has it in a file of its own", () => {
  const script = githubStep("preview", "preview");
  assert.deepEqual(step(script, { STACK: "tokyo", HUB_KUBECONFIG: "" }).calls, [
    "pulumi preview --stack tokyo --diff key= secret=",
  ]);
  assert.deepEqual(step(script, { STACK: "hub", HUB_KUBECONFIG: "of the hub" }).calls, [
    "pulumi preview --stack hub --diff key= secret=",
    "kubeconfig 600 of the hub",
  ]);
});

const COMMENTS = "repos/acme/fleet/issues";
const PULL_REQUEST = {
  STACK: "tokyo",
  GITHUB_REPOSITORY: "acme/fleet",
  GITHUB_SERVER_URL: "https://github.com",
  GITHUB_RUN_ID: "7",
  PULL_REQUEST: "12",
};

for (const [old, call] of [
  ["", `gh api --silent --method POST ${COMMENTS}/12/comments -F body=@comment.md`],
  ["99\n", `gh api --silent --method PATCH ${COMMENTS}/comments/99 -F body=@comment.md`],
] as const)
  test(`the summary becomes a comment on the pull request: ${call}`, () => {
    step(githubStep("preview", "preview"), { STACK: "tokyo", HUB_KUBECONFIG: "" });
    const comment = githubStep("preview", "Comment");
    const { status, output, calls } = step(comment, { ...PULL_REQUEST, OUTCOME: "success", OLD_COMMENT: old });
    assert.equal(status, 0, output);
    assert.equal(calls.at(-1), call);
    assert.match(calls[0] ?? "", /startswith\("<!-- edge-fleet preview tokyo -->"\)/);
    assert.equal(
      readFileSync(join(REPOSITORY, "comment.md"), "utf8"),
      "<!-- edge-fleet preview tokyo -->\n### Preview of tokyo\n1 device changes\n",
    );
  });

test("a preview that fails fails its step, and the comment links to the log", () => {
  rmSync(join(REPOSITORY, ".edge-fleet"), { recursive: true });
  const { status } = step(githubStep("preview", "preview"), { STACK: "tokyo", HUB_KUBECONFIG: "", PULUMI_EXIT: "255" });
  assert.equal(status, 255);
  step(githubStep("preview", "Comment"), { ...PULL_REQUEST, OUTCOME: "failure" });
  assert.match(
    readFileSync(join(REPOSITORY, "comment.md"), "utf8"),
    /\n\*\*It failed\*\*: \[log\]\(https:\/\/github\.com\/acme\/fleet\/actions\/runs\/7\)\n/,
  );
});

test("GitLab gets the summary as a note, with the token on no command line", () => {
  const env = { STACK: "tokyo", CI_MERGE_REQUEST_DIFF_BASE_SHA: "HEAD^", CI_JOB_STATUS: "success" };
  step(gitlabScript("preview"), env);
  const curl = join(BIN, "curl");
  writeFileSync(curl, `#!/bin/sh\necho "curl $*" >> "${CALLS}"; cat >> "${CALLS}"\n`, { mode: 0o755 });
  const forge = { CI_API_V4_URL: "https://gl/api/v4", CI_PROJECT_ID: "3", CI_MERGE_REQUEST_IID: "12" };
  const note = gitlabScript("preview", "after_script");
  assert.deepEqual(step(note, { ...env, ...forge, EDGE_FLEET_NOTE_TOKEN: "hunter2" }).calls, [
    "curl -fsS -o /dev/null --config - --data-urlencode body@comment.md https://gl/api/v4/projects/3/merge_requests/12/notes",
    'header = "PRIVATE-TOKEN: hunter2"',
  ]);
  assert.deepEqual(step(note, { ...env, ...forge, EDGE_FLEET_NOTE_TOKEN: "" }).calls, []);
  rmSync(curl);
});

test("the hub is applied by an up that previews first, with its kubeconfig", () => {
  const up = "pulumi up --stack hub --yes --non-interactive key= secret=";
  const { calls } = step(githubStep("hub", "Apply"), { STACK: "hub", HUB_KUBECONFIG: "of the hub" });
  assert.deepEqual(calls, [up, "kubeconfig 600 of the hub"]);
  assert.deepEqual(step(gitlabScript("hub"), { STACK: "hub" }).calls, [up]);
});

const keys: [ci: string, script: () => string, key: () => string][] = [
  ["GitHub", () => githubStep("region", "Apply"), () => readFileSync(KEY, "utf8")],
  ["GitLab", () => gitlabScript("region").replace("chmod 400", ":"), () => KEY],
];

for (const [ci, script, key] of keys)
  test(`a region is applied on ${ci} with the key in an agent, which ends with the step`, async () => {
    const sum = spawnSync("ssh-keygen", ["-lf", KEY], { encoding: "utf8" }).stdout.split(" ")[1] ?? "";
    const text = `${script()}\necho "socket $SSH_AUTH_SOCK"`;
    const { status, output, calls } = step(text, { STACK: "tokyo", EDGE_FLEET_SSH_KEY: key(), PULUMI_EXIT: "0" });
    assert.equal(status, 0, output);
    const secret = ci === "GitHub" ? "" : "shown";
    assert.deepEqual(calls, [`pulumi up --stack tokyo --yes --non-interactive key=${sum} secret=${secret}`]);
    const socket = /^socket (.+)$/m.exec(output)?.[1] ?? assert.fail(output);
    // It takes its socket away as it ends, shortly after the signal.
    for (let waited = 0; waited < 5000 && existsSync(socket); waited += 20) await sleep(20);
    assert.equal(existsSync(socket), false);
    const failed = step(script(), { STACK: "tokyo", EDGE_FLEET_SSH_KEY: key(), PULUMI_EXIT: "255" });
    assert.equal(failed.status, 255);
  });

test("on GitLab the Pulumi CLI is unpacked only when its hash is that of the release's list", (context) => {
  const text = readFileSync(join(REPOSITORY, ".gitlab-ci.yml"), "utf8").replaceAll("!reference", "");
  const { variables, ...jobs } = parse(text) as {
    variables: { PULUMI_VERSION: string };
    ".install": { script: string[] };
  };
  const { PULUMI_VERSION } = variables;
  assert.equal(
    PULUMI_VERSION,
    parse(readFileSync(join(MAIN, "../../package.json"), "utf8")).dependencies["@pulumi/pulumi"].slice(1),
  );
  const script = jobs[".install"].script.join("\n");
  const { hash, tarball, release } = releaseOf(context, PULUMI_VERSION);
  const install = (listed: string) => {
    const home = temporaryDirectory(context);
    const list = `${"0".repeat(64)}  other.tar.gz\n${listed}  ${tarball}\n`;
    writeFileSync(join(release, `pulumi-${PULUMI_VERSION}-checksums.txt`), list);
    const env = { HOME: home, PULUMI_VERSION, PULUMI_RELEASE: "https://x" };
    const { status } = step(`PATH="${release}/bin:$PATH"\ncd "${home}"\n${script}\npulumi`, env);
    return { status, installed: existsSync(join(home, "pulumi", "pulumi")) };
  };
  assert.deepEqual(install(hash), { status: 0, installed: true });
  assert.deepEqual(install("f".repeat(64)), { status: 1, installed: false });
});

/** A release of one script, in a folder that a stub of curl serves. */
function releaseOf(context: TestContext, version: string) {
  const release = temporaryDirectory(context);
  for (const folder of ["pulumi", "bin"]) mkdirSync(join(release, folder));
  writeFileSync(join(release, "pulumi", "pulumi"), "#!/bin/sh\necho real\n", { mode: 0o755 });
  const tarball = `pulumi-v${version}-linux-x64.tar.gz`;
  assert.equal(spawnSync("tar", ["-czf", tarball, "pulumi"], { cwd: release }).status, 0);
  const hash = createHash("sha256")
    .update(readFileSync(join(release, tarball)))
    .digest("hex");
  // -O saves under the URL's last part, else the file goes to stdout.
  const serve = `for url; do :; done\ncase $1 in *O) cp "${release}/\${url##*/}" . ;; *) cat "${release}/\${url##*/}" ;; esac`;
  writeFileSync(join(release, "bin", "curl"), `#!/bin/sh\n${serve}\n`, { mode: 0o755 });
  return { release, tarball, hash };
}
