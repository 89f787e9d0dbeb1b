/** `edge-fleet promote` on real repositories. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { temporaryDirectory } from "./inventory.ts";
import { type Clone, hoursAgo, rolloutRepository, shareRepository, statusFile, TOKYO } from "./rollout-repository.ts";

const trailers = (clone: Clone, commit = "HEAD"): string[] =>
  clone.git("log", "-1", "--format=%(trailers:only)", commit).split("\n");

test("the first ring goes to a commit that a tag names, as one commit of one file with trailers", async (context) => {
  const clone = await rolloutRepository(context);
  const sha = clone.git("rev-parse", "HEAD");
  clone.git("tag", "v1");
  const { exitCode, stdout, stderr } = await clone.run("promote", "canary", "--to", "v1");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, new RegExp(`^canary: nothing -> ${sha}$`, "m"));
  assert.match(stdout, /^Next: git push/m);
  assert.equal(clone.git("log", "-1", "--format=%s"), `Promote canary to ${sha.slice(0, 12)}`);
  assert.deepEqual(trailers(clone), ["Ring: canary", `Revision: ${sha}`, "Previous: none", "Devices: 2"]);
  assert.equal(clone.git("show", "--name-only", "--format=", "HEAD"), "fleet/rings/canary.yaml");
  assert.match(clone.read("fleet/rings/canary.yaml"), new RegExp(`"?${sha}"?`));
  assert.equal(clone.git("status", "--porcelain"), "");
  const again = await clone.run("promote", "canary", "--to", sha);
  assert.equal(again.exitCode, 0);
  assert.match(again.stdout, /already at .*, nothing to commit/);
});

test("whatever is staged, changed or untracked stays exactly as it is", async (context) => {
  const clone = await rolloutRepository(context);
  clone.write("stacks/notes.md", "staged\n");
  clone.git("add", "stacks/notes.md");
  clone.write("stacks/notes.md", "staged and changed\n");
  clone.write("stacks/models.yaml", `${clone.read("stacks/models.yaml")}# changed\n`);
  clone.write("untracked.txt", "x\n");
  const before = clone.git("status", "--porcelain=v2");
  const { exitCode, stderr } = await clone.run("promote", "canary", "--to", "HEAD");
  assert.equal(exitCode, 0, stderr);
  assert.equal(clone.git("status", "--porcelain=v2"), before);
  assert.equal(clone.git("show", "--name-only", "--format=", "HEAD"), "fleet/rings/canary.yaml");
});

test("--no-commit writes the file only, --dry-run not even that", async (context) => {
  const clone = await rolloutRepository(context);
  const head = clone.git("rev-parse", "HEAD");
  const dry = await clone.run("promote", "canary", "--to", "HEAD", "--dry-run");
  assert.equal(dry.exitCode, 0, dry.stderr);
  assert.match(dry.stdout, /^Next: run again without --dry-run$/m);
  assert.equal(clone.git("status", "--porcelain"), "");
  const written = await clone.run("promote", "canary", "--to", "HEAD", "--no-commit");
  assert.equal(written.exitCode, 0, written.stderr);
  assert.match(written.stdout, /^Next: git add fleet\/rings\/canary\.yaml && git commit/m);
  assert.equal(clone.git("rev-parse", "HEAD"), head);
  assert.match(clone.git("status", "--porcelain"), /^\?\? fleet\/rings\/$/);
  const committed = await clone.run("promote", "canary", "--to", head);
  assert.equal(committed.exitCode, 0, committed.stderr);
  assert.notEqual(clone.git("rev-parse", "HEAD"), head);
  assert.equal(clone.git("status", "--porcelain"), "");
});

test("a hook that refuses the commit leaves file and index as they were", async (context) => {
  const clone = await rolloutRepository(context);
  const hook = join(clone.directory, ".git/hooks/pre-commit");
  writeFileSync(hook, "#!/bin/sh\necho 'error: not on Fridays' >&2\nexit 1\n");
  chmodSync(hook, 0o755);
  const { exitCode, stderr } = await clone.run("promote", "canary", "--to", "HEAD");
  assert.equal(exitCode, 1);
  assert.match(stderr, /not on Fridays - fix it and run again; nothing was changed/);
  assert.equal(clone.git("status", "--porcelain"), "");
  assert.ok(!existsSync(join(clone.directory, "fleet/rings/canary.yaml")));
});

test("unknown rings, unknown commits, commits without the ring's folders and no commit at all are refused", async (context) => {
  const clone = await rolloutRepository(context);
  clone.git("rm", "-q", "-r", "fleet/overlays/tokyo/box");
  const bare = clone.commit("Without a leaf");
  clone.git("revert", "--no-edit", "HEAD");
  const refusals: [string[], RegExp][] = [
    [["beta", "--to", "HEAD"], /ring beta is not one of the fleet's - use one of canary, broad/],
    [["canary", "--to", "0".repeat(40)], /has no commit 0{40} - fetch it/],
    [["canary", "--to", "--all"], /has no commit --all/],
    [["canary", "--to", bare], /lacks 1 folder\(s\) that devices of ring canary deploy: overlays\/tokyo\/box/],
    [["canary"], /either --to <commit> or --from <ring>/],
    [["canary", "--to", "HEAD", "--from", "broad"], /either --to <commit> or --from <ring>/],
    [["canary", "--from", "broad"], /ring broad deploys nothing yet/],
    [["canary", "--from", "canary"], /is the ring itself/],
    [["broad"], /ring canary deploys nothing yet/],
    [["canary", "--to", "HEAD", "--force", " "], /--force needs a reason/],
    [
      ["canary", "--to", "HEAD", "--workload", "camera"],
      /workload camera is not one of fleet\.yaml's - use one of none yet/,
    ],
    [["canary", "--to", "HEAD", "--push"], /branch main of origin cannot be fetched/],
  ];
  for (const [args, message] of refusals) {
    const { exitCode, stdout, stderr } = await clone.run("promote", ...args);
    assert.deepEqual([exitCode, stdout], [2, ""], args.join(" "));
    assert.match(stderr, message);
  }
  assert.ok(!existsSync(join(clone.directory, "fleet/rings")));
});

test("a folder that is in no repository, and a shallow clone, are told what to do", async (context) => {
  const clone = await rolloutRepository(context);
  const directory = temporaryDirectory(context);
  const outside = await clone.run("promote", "canary", "--to", "HEAD", "--tree", join(directory, "fleet"));
  assert.equal(outside.exitCode, 2);
  assert.match(outside.stderr, /is in no Git repository - run git init/);
  clone.change("info");
  clone.git("clone", "-q", "--depth", "1", `file://${clone.directory}`, join(directory, "shallow"));
  const shallow = await clone.run("promote", "canary", "--to", "HEAD", "--tree", join(directory, "shallow/fleet"));
  assert.equal(shallow.exitCode, 2);
  assert.match(shallow.stderr, /shallow clone.*git fetch --unshallow/);
});

/** A repository whose ring canary was promoted to HEAD so many hours ago. */
async function canarySince(context: TestContext, hours: number, fleet = ""): Promise<{ clone: Clone; sha: string }> {
  const clone = await rolloutRepository(context, fleet);
  const sha = clone.git("rev-parse", "HEAD");
  clone.setDate(hoursAgo(hours));
  const { exitCode, stderr } = await clone.run("promote", "canary", "--to", sha);
  assert.equal(exitCode, 0, stderr);
  clone.setDate(new Date());
  return { clone, sha };
}

test("the next ring takes what the ring before has run long enough and well, without being told the commit", async (context) => {
  const { clone, sha } = await canarySince(context, 3);
  const status = statusFile(clone, { a: { revision: sha }, b: { revision: sha } });
  const { exitCode, stdout, stderr } = await clone.run("promote", "broad", "--status", status);
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^Ring before: canary, .* for 3h, healthy: 2 of 2 device\(s\) healthy$/m);
  assert.deepEqual(trailers(clone), ["Ring: broad", `Revision: ${sha}`, "Previous: none", "Devices: 2"]);
});

const GOOD = { a: {}, b: {} };
const early: [
  what: string,
  hours: number,
  devices: Record<string, object> | undefined,
  code: number,
  message: RegExp,
][] = [
  ["it soaks", 1, GOOD, 3, /ring canary has run \w+ for 1h of 2h - promote broad in 1h$/m],
  [
    "its devices run it for too short a time",
    30,
    { a: {}, b: { since: hoursAgo(1).toISOString() } },
    3,
    /ring canary has run \w+ on 95% of its devices for 1h( \d+m)? of 2h - promote broad in /,
  ],
  [
    "nobody knows its health",
    3,
    undefined,
    2,
    /the health of ring canary is not known - use --kubeconfig <file> or --status/,
  ],
  [
    "a device fails",
    3,
    { a: {}, b: { healthy: false } },
    1,
    /1 of 2 device\(s\) are healthy .*\(1 failed\).* - fix its devices or roll it back/,
  ],
  ["a device runs something else", 3, { a: {}, b: { revision: "0".repeat(40) } }, 1, /\(1 behind\)/],
  ["a status is old", 3, { a: {}, b: { observedAt: hoursAgo(2).toISOString() } }, 1, /\(1 unknown\)/],
  ["a device does not answer", 3, { a: {}, b: { connected: false } }, 1, /1 of 2 .*\(1 unknown\)/],
  ["no device of a model answers", 3, { a: { connected: false } }, 1, /0 of 1 device\(s\) of model other are healthy/],
];

for (const [what, hours, devices, code, message] of early) {
  test(`the next ring waits while ${what}: exit code ${code}, and --force takes the reason into the commit`, async (context) => {
    const { clone, sha } = await canarySince(context, hours);
    const known = Object.entries(devices ?? {}).map(([id, device]) => [id, { revision: sha, ...device }]);
    const source = devices === undefined ? [] : ["--status", statusFile(clone, Object.fromEntries(known))];
    const head = clone.git("rev-parse", "HEAD");
    const refused = await clone.run("promote", "broad", ...source);
    assert.equal(refused.exitCode, code, refused.stderr);
    assert.match(refused.stderr, message);
    assert.match(refused.stderr, /^nothing was changed; --force <reason> promotes all the same$/m);
    assert.equal(clone.git("rev-parse", "HEAD"), head);
    assert.equal(clone.git("status", "--porcelain"), "");
    const forced = await clone.run("promote", "broad", ...source, "--force", "the shops\nneed it");
    assert.equal(forced.exitCode, 0, forced.stderr);
    assert.ok(trailers(clone).includes("Reason: the shops need it"));
  });
}

test("a ring does not overtake the one before, but may take an ancestor of what that runs", async (context) => {
  const { clone, sha } = await canarySince(context, 3);
  const newer = clone.change("info");
  const status = statusFile(clone, { a: { revision: sha }, b: { revision: sha } });
  const overtaking = await clone.run("promote", "broad", "--to", newer, "--status", status);
  assert.equal(overtaking.exitCode, 2);
  assert.match(overtaking.stderr, /is not part of .*, which ring canary runs - promote canary to it first/);
  clone.setDate(hoursAgo(2.5));
  assert.equal((await clone.run("promote", "canary", "--to", newer)).exitCode, 0);
  clone.setDate(new Date());
  const both = statusFile(clone, { a: { revision: newer }, b: { revision: newer } });
  const ancestor = await clone.run("promote", "broad", "--to", sha, "--status", both);
  assert.equal(ancestor.exitCode, 3, "it has run for half an hour only, from 3 to 2.5 hours ago");
  const current = await clone.run("promote", "broad", "--status", both);
  assert.equal(current.exitCode, 0, current.stderr);
  const backwards = await clone.run("promote", "broad", "--to", sha, "--status", both, "--force", "back");
  assert.match(backwards.stdout, /devices go back/);
});

test("a freeze stands against a promotion, and --force does not lift it", async (context) => {
  const clone = await rolloutRepository(context);
  assert.equal((await clone.run("freeze", "canary", "--reason", "holidays")).exitCode, 0);
  const { exitCode, stderr } = await clone.run("promote", "canary", "--to", "HEAD", "--force", "now");
  assert.equal(exitCode, 2);
  assert.match(stderr, /ring canary is frozen since .*: holidays - lift it with edge-fleet freeze --off/);
  assert.doesNotMatch(stderr, /--force <reason> promotes/);
  clone.write("fleet/rollout/freeze.yaml", "frozen: yes\n");
  clone.commit("Break the freeze");
  const broken = await clone.run("promote", "canary", "--to", "HEAD");
  assert.equal(broken.exitCode, 1, "what cannot be read is not taken for not frozen");
  assert.match(broken.stderr, /freeze\.yaml:1:1 frozen: is not a known field/);
});

test("a workload of its own has rings of its own", async (context) => {
  const fleet =
    "workloads: [{ name: camera, path: workloads/camera, namespace: camera, models: [box], rings: [broad] }]\n";
  const clone = await rolloutRepository(context, fleet);
  const missing = await clone.run("promote", "broad", "--to", "HEAD", "--workload", "camera");
  assert.equal(missing.exitCode, 2);
  assert.match(missing.stderr, /lacks 1 folder\(s\) .* workloads\/camera/);
  clone.write("fleet/workloads/camera/kustomization.yml", "resources: []\n");
  const sha = clone.commit("Add the camera");
  const { exitCode, stdout, stderr } = await clone.run("promote", "broad", "--to", sha, "--workload", "camera");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^Devices: 1$/m);
  assert.deepEqual(trailers(clone).slice(0, 2), ["Ring: broad", "Workload: camera"]);
  assert.match(clone.read("fleet/rings/camera/broad.yaml"), /^workload: camera$/m);
  assert.match(
    (await clone.run("promote", "canary", "--to", sha, "--workload", "camera")).stderr,
    /not one of those of workload camera/,
  );
});

test("--json tells the same as one document, refused or not", async (context) => {
  const { clone, sha } = await canarySince(context, 1);
  const refused = await clone.run("promote", "broad", "--json");
  const told = JSON.parse(refused.stdout) as Record<string, unknown>;
  assert.deepEqual([told.written, told.commit, told.devices, told.revision], [false, null, 2, sha]);
  assert.deepEqual(
    (told.refusals as { reason: string }[]).map(({ reason }) => reason),
    ["soak", "no-status"],
  );
  const forced = await clone.run("promote", "broad", "--json", "--force", "test");
  const done = JSON.parse(forced.stdout) as Record<string, unknown>;
  assert.deepEqual([done.written, done.commit, done.pushed], [true, clone.git("rev-parse", "HEAD"), false]);
  assert.deepEqual(done.blast, [
    { region: "tokyo", model: "box", devices: 1 },
    { region: "tokyo", model: "other", devices: 1 },
  ]);
});

test("commits and the rendered difference are shown before, grouped over the leaves that share it", async (context) => {
  const { clone } = await canarySince(context, 1);
  clone.change("info");
  const { exitCode, stdout, stderr } = await clone.run("promote", "canary", "--to", "HEAD");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^ {2}[0-9a-f]{12} {2}[\d-]{10} {2}ann {2}Log at level info$/m);
  assert.doesNotMatch(stdout, /Promote canary to/, "a promotion is no change of the tree");
  assert.match(stdout, /^2 device\(s\), 2 folder\(s\), changes: overlays\/tokyo\/box, overlays\/tokyo\/other$/m);
  assert.match(stdout, /^ {2}\+ +- --level=info$/m);
});

test("with signed commits only a valid signature of a known key is promoted", async (context) => {
  const clone = await rolloutRepository(context, "rollout: { signedCommits: true }\n");
  const keys = temporaryDirectory(context);
  for (const name of ["ann", "mallory"]) {
    const made = spawnSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", join(keys, name)], {
      encoding: "utf8",
    });
    assert.equal(made.status, 0, made.stderr);
  }
  const [type, key] = spawnSync("cat", [join(keys, "ann.pub")], { encoding: "utf8" }).stdout.split(" ");
  writeFileSync(join(keys, "allowed"), `ann@example.com ${type} ${key}\n`);
  const unsigned = await clone.run("promote", "canary", "--to", "HEAD");
  assert.equal(unsigned.exitCode, 2);
  assert.match(
    unsigned.stderr,
    /has no valid signature and rollout\.signedCommits is true \(it has no signature\) - sign it/,
  );
  const signAs = (name: string, level: string): void => {
    clone.git("config", "gpg.format", "ssh");
    clone.git("config", "user.signingkey", join(keys, name));
    clone.git("config", "commit.gpgsign", "true");
    clone.change(level);
  };
  signAs("mallory", "info");
  clone.git("config", "gpg.ssh.allowedSignersFile", join(keys, "allowed"));
  const foreign = await clone.run("promote", "canary", "--to", "HEAD", "--force", "please");
  assert.equal(foreign.exitCode, 2, "not even with --force");
  assert.match(foreign.stderr, /has no valid signature .*name its key in the file of gpg\.ssh\.allowedSignersFile/);
  signAs("ann", "debug");
  const good = await clone.run("promote", "canary", "--to", "HEAD");
  assert.equal(good.exitCode, 0, good.stderr);
  assert.match(good.stdout, /^Signed by ann@example\.com/m);
  assert.equal(clone.git("log", "-1", "--format=%G?"), "G", "the promotion is signed as the user signs");
});

test("--push makes the commit on the remote branch and takes the checkout along where it can", async (context) => {
  const clone = await rolloutRepository(context);
  const second = shareRepository(context, clone);
  const sha = clone.git("rev-parse", "HEAD");
  clone.write("staged.txt", "x\n");
  clone.git("add", "staged.txt");
  const { exitCode, stdout, stderr } = await clone.run("promote", "canary", "--to", sha, "--push");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^Pushed [0-9a-f]{12}$/m);
  assert.match(stdout, /^Next: edge-fleet promote broad, after the soak of ring canary$/m);
  assert.equal(clone.git("rev-parse", "HEAD"), clone.git("rev-parse", "origin/main"));
  assert.equal(clone.git("status", "--porcelain"), "A  staged.txt");
  second.git("pull", "-q");
  assert.match(second.read("fleet/rings/canary.yaml"), new RegExp(sha));
});

test("--push takes no unpushed commit along, and no commit that the remote does not have", async (context) => {
  const clone = await rolloutRepository(context);
  shareRepository(context, clone);
  const pushed = clone.git("rev-parse", "origin/main");
  const own = clone.change("debug");
  const unpublished = await clone.run("promote", "canary", "--to", own, "--push");
  assert.equal(unpublished.exitCode, 2);
  assert.match(unpublished.stderr, /is on no remote branch, so no device can pull it - push it first/);
  const { exitCode, stdout, stderr } = await clone.run("promote", "canary", "--to", pushed, "--push");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^Next: git pull --rebase/m);
  assert.equal(clone.git("rev-parse", "HEAD"), own, "the checkout has commits of its own and stays");
  assert.equal(clone.git("rev-parse", "origin/main~1"), pushed);
  assert.equal(clone.git("status", "--porcelain"), "");
});

test("a push of something else in between is no obstacle: the promotion is made again on top", async (context) => {
  const clone = await rolloutRepository(context);
  const second = shareRepository(context, clone);
  const sha = clone.git("rev-parse", "HEAD");
  // Somebody pushes right before our first push: the hook runs on our side, once.
  const hook = join(clone.directory, ".git/hooks/pre-push");
  const script = `#!/bin/sh\nset -eu\n[ ! -e "${second.directory}/done" ] || exit 0\ncd "${second.directory}"\ntouch done\nunset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE\ngit add done\ngit commit -q -m 'Something else'\ngit push -q origin HEAD:main\n`;
  writeFileSync(hook, script);
  chmodSync(hook, 0o755);
  const { exitCode, stderr } = await clone.run("promote", "canary", "--to", sha, "--push");
  assert.equal(exitCode, 0, stderr);
  const subjects = clone.git("log", "--format=%s", "origin/main").split("\n");
  assert.deepEqual(subjects.slice(0, 2), [`Promote canary to ${sha.slice(0, 12)}`, "Something else"]);
});

test("of two promoters of one ring at the same time each success is one commit, and a loser is told by whom", async (context) => {
  const clone = await rolloutRepository(context);
  const [first, next] = [clone.git("rev-parse", "HEAD"), clone.change("info")];
  const second = shareRepository(context, clone);
  const runs = await Promise.all([
    clone.run("promote", "canary", "--to", first, "--push", "--no-diff"),
    second.run("promote", "canary", "--to", next, "--push", "--no-diff"),
  ]);
  clone.git("fetch", "-q");
  const promotions = clone.git("log", "--format=%an %s", "origin/main", "--", "fleet/rings").split("\n");
  const won = runs.filter(({ exitCode }) => exitCode === 0);
  // The slower one may also have begun after the faster one was through; then it promoted from what it saw.
  assert.equal(promotions.length, won.length, runs.map(({ stderr }) => stderr).join("\n"));
  for (const { exitCode, stderr } of runs)
    if (exitCode !== 0) {
      assert.equal(exitCode, 1);
      assert.match(stderr, /fleet\/rings\/canary\.yaml was changed in the meantime by (ann|bob), .* Promote canary/);
    }
});

for (const [what, prepare] of [
  ["the ring itself is promoted by another", ["promote", "canary", "--to", "HEAD~1", "--push", "--no-diff"]],
  ["the ring is frozen by another", ["freeze", "canary", "--push"]],
] as const) {
  test(`a promotion loses when, between its decision and its push, ${what}`, async (context) => {
    const clone = await rolloutRepository(context);
    const sha = clone.change("info");
    const second = shareRepository(context, clone);
    const hook = join(clone.directory, ".git/hooks/pre-push");
    const command = [process.execPath, join(import.meta.dirname, "../../../cli/main.ts"), ...prepare];
    const words = command.map((word) => `'${word}'`).join(" ");
    writeFileSync(
      hook,
      `#!/bin/sh\nset -eu\nunset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE\ncd '${second.directory}'\n${words} >&2\n`,
    );
    chmodSync(hook, 0o755);
    const { exitCode, stderr } = await clone.run("promote", "canary", "--to", sha, "--push");
    assert.equal(exitCode, 1, stderr);
    assert.match(stderr, /was changed in the meantime by bob, .* - look at it and run again; nothing was pushed/);
    clone.git("fetch", "-q");
    assert.equal(clone.git("rev-list", "--count", `${sha}..origin/main`), "1");
  });
}

test("a promotion that is not pushed has not soaked, as no device runs it", async (context) => {
  const clone = await rolloutRepository(context);
  shareRepository(context, clone);
  const sha = clone.git("rev-parse", "HEAD");
  clone.setDate(hoursAgo(5));
  assert.equal((await clone.run("promote", "canary", "--to", sha)).exitCode, 0);
  clone.setDate(new Date());
  const status = statusFile(clone, { a: { revision: sha }, b: { revision: sha } });
  const refused = await clone.run("promote", "broad", "--status", status);
  assert.equal(refused.exitCode, 2);
  assert.match(refused.stderr, /the promotion of ring canary is on no remote branch, so no device runs it - push it/);
  clone.git("push", "-q", "origin", "main");
  const { exitCode, stderr } = await clone.run("promote", "broad", "--status", status);
  assert.equal(exitCode, 0, stderr);
});

test("a machine that joins another one's cluster deploys nothing and is not counted", async (context) => {
  const joined = `${TOKYO}  - { id: e, host: 10.0.0.5, model: box, ring: canary, joins: a }\n`;
  const clone = await rolloutRepository(context, "", joined);
  const { exitCode, stdout, stderr } = await clone.run("promote", "canary", "--to", "HEAD");
  assert.equal(exitCode, 0, stderr);
  assert.match(stdout, /^Devices: 2$/m);
});
