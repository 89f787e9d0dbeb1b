/** `up` and `preview` as processes, against a stand-in for the `pulumi` CLI that writes down how it was called. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { edgeFleet, MAIN } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const REGION = (name: string, id: string): string =>
  `region: ${name}\ndevices:\n  - { id: ${id}, host: 10.0.0.${id.length}, model: box }\n`;

/** Its `up` and `preview` end with the code in the file `<stack>.exit`; its outputs are the file `<stack>.json`. */
const PULUMI = `#!/bin/sh
echo "$*" >>"$CALLS"
stack=$(echo "$*" | sed 's/.*--stack \\([a-z]*\\).*/\\1/')
case $1 in
  stack) exec cat "$FOLDER/$stack.json" ;;
  preview) case "$*" in *--json*) cat "$FOLDER/$stack.preview"; exit "$(cat "$FOLDER/$stack.exit" 2>/dev/null || echo 0)" ;; esac ;;
esac
echo "$1 of $stack, skip=\${PULUMI_SKIP_CHECKPOINTS-no}"
if [ -f "$FOLDER/slow" ]; then
  trap 'echo signal >>"$CALLS"' INT
  touch "$FOLDER/begun"
  i=0
  while [ "$i" -lt 20 ]; do sleep 0.1; i=$((i + 1)); done
  exit 8
fi
exit "$(cat "$FOLDER/$stack.exit" 2>/dev/null || echo 0)"
`;

interface Fixture {
  readonly folder: string;
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** How pulumi was called. */
  calls(): string[];
  run(...args: string[]): ReturnType<typeof edgeFleet>;
}

function fixture(context: TestContext, files: Readonly<Record<string, unknown>> = {}): Fixture {
  const folder = temporaryDirectory(context);
  const stacks = writeInventory(context, {
    "tokyo.yaml": REGION("tokyo", "aaa"),
    "berlin.yaml": REGION("berlin", "bb"),
  });
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin", "pulumi"), PULUMI, { mode: 0o755 });
  for (const [name, value] of Object.entries({ "tokyo.json": {}, "berlin.json": {}, ...files }))
    writeFileSync(join(folder, name), JSON.stringify(value));
  const file = join(folder, "calls");
  const environment = { PATH: `${join(folder, "bin")}:${process.env.PATH}`, CALLS: file, FOLDER: folder };
  const args = ["--inventory", stacks];
  return {
    folder,
    args,
    environment,
    calls: () => (existsSync(file) ? readFileSync(file, "utf8").trim().split("\n") : []),
    run: (...words) => {
      const [command = "", ...rest] = words;
      return edgeFleet([command, ...args, ...rest], { environment });
    },
  };
}

test("up runs the hub, then each region, and says what became of each device", async (context) => {
  const { run, calls } = fixture(context, {
    "tokyo.json": { applied: { aaa: "v1" } },
    "berlin.json": { pending: { bb: { code: "unreachable", reason: "no answer from the host" } } },
  });
  const { exitCode, stdout } = await run("up", "--yes", "--skip-preview");
  assert.equal(exitCode, 3);
  assert.equal(
    stdout,
    `up of hub, skip=no
up of berlin, skip=true
DEVICE  STATE    CODE         REASON
bb      pending  unreachable  no answer from the host
berlin: 0 applied, 1 pending, 0 failed
up of tokyo, skip=true
tokyo: 1 applied, 0 pending, 0 failed
Next: edge-fleet up berlin, when the pending devices can be reached
`,
  );
  assert.deepEqual(calls(), [
    "up --stack hub --parallel 64 --yes --skip-preview",
    "up --stack berlin --parallel 64 --yes --skip-preview",
    "stack output --json --stack berlin --non-interactive",
    "up --stack tokyo --parallel 64 --yes --skip-preview",
    "stack output --json --stack tokyo --non-interactive",
  ]);
});

test("--json keeps stdout free for one document", async (context) => {
  const { run } = fixture(context, { "tokyo.json": { failed: { aaa: { code: "sudo", reason: "x - y" } } } });
  const { exitCode, stdout, stderr } = await run("up", "hub", "tokyo", "--yes", "--json");
  assert.equal(exitCode, 1);
  assert.deepEqual(JSON.parse(stdout), {
    stacks: [
      { stack: "hub", pulumi: "succeeded" },
      {
        stack: "tokyo",
        pulumi: "succeeded",
        counts: { applied: 0, removed: 0, pending: 0, failed: 1 },
        devices: [{ id: "aaa", state: "failed", reason: "x - y", code: "sudo", release: "" }],
      },
    ],
  });
  assert.match(stderr, /^up of hub/);
});

const URN = "urn:pulumi:tokyo::edge-fleet::edge-fleet:index:Region$command:local:Command::";

/** As `pulumi preview --json` of 3.274.1 prints it, without the states of the resources. */
const DIGEST = {
  steps: [
    { op: "same", urn: "urn:pulumi:tokyo::edge-fleet::pulumi:pulumi:Stack::edge-fleet-tokyo", detailedDiff: null },
    { op: "update", urn: `${URN}aaa`, diffReasons: ["stdin"], detailedDiff: null },
    { op: "create-replacement", urn: `${URN}b::c`, detailedDiff: null },
    { op: "replace", urn: `${URN}b::c`, detailedDiff: null },
  ],
  diagnostics: [
    { message: "careful", severity: "warning" },
    { prefix: "error: ", message: "bad\n", severity: "error" },
  ],
  duration: 1,
  changeSummary: { same: 4, update: 1, replace: 1 },
};

test("preview --json tells what would change, by device, and of stacks where pulumi says nothing", async (context) => {
  const { run, calls } = fixture(context, { "tokyo.preview": DIGEST, "hub.preview": {}, "berlin.exit": 255 });
  const { exitCode, stdout } = await run("preview", "--json");
  assert.equal(exitCode, 1);
  assert.deepEqual(JSON.parse(stdout), {
    stacks: [
      { stack: "hub", pulumi: "succeeded", changes: {}, devices: [], errors: [] },
      { stack: "berlin", pulumi: "failed" },
      {
        stack: "tokyo",
        pulumi: "succeeded",
        changes: DIGEST.changeSummary,
        devices: [
          { id: "aaa", change: "update" },
          { id: "b::c", change: "replace" },
        ],
        errors: ["bad"],
      },
    ],
  });
  assert.equal(calls()[0], "preview --stack hub --parallel 64 --json");
  const both = await run("preview", "--json", "--diff");
  assert.equal(both.exitCode, 2);
});

test("a run ends with what to do next", async (context) => {
  const failed = { failed: { aaa: { code: "disk", reason: "full - free some" } } };
  const { run } = fixture(context, { "tokyo.json": failed, "berlin.exit": 1 });
  const last = async (...args: string[]): Promise<string> =>
    (await run(...args)).stdout.trim().split("\n").at(-1) ?? "";
  assert.equal(await last("up", "tokyo", "--yes"), "Next: edge-fleet logs aaa, fix it, and edge-fleet up tokyo");
  assert.equal(await last("up", "berlin", "--yes"), "Next: fix what pulumi says above, and run again");
  assert.equal(await last("up", "hub", "--yes"), "Next: edge-fleet status");
  assert.equal(await last("preview", "tokyo"), "Next: edge-fleet up tokyo");
  assert.equal(await last("preview", "berlin"), "Next: fix what pulumi says above, and preview again");
});

test("what stands behind -- goes to pulumi, and so do targets, once each", async (context) => {
  const { run, calls } = fixture(context);
  await run(
    "up",
    "tokyo",
    "--target",
    "urn:a",
    "--target",
    "urn:b",
    "--diff",
    "--parallel",
    "3",
    "--",
    "--message",
    "hello",
  );
  await run("preview", "--device", "aaa", "--expect-no-changes", "--refresh");
  assert.deepEqual(
    calls().filter((call) => !call.startsWith("stack")),
    [
      "up --stack tokyo --parallel 3 --target urn:a --target urn:b --diff --message hello",
      "preview --stack tokyo --parallel 64 --target **::edge-fleet:index:Region::* --target **$command:local:Command::aaa --refresh --expect-no-changes",
    ],
  );
});

const failing: { name: string; stack: string; code: number; runs: string[]; says: RegExp }[] = [
  {
    name: "a region fails: the others run",
    stack: "berlin",
    code: 1,
    runs: ["hub", "berlin", "tokyo"],
    says: /berlin: pulumi failed for another reason than a device/,
  },
  { name: "the hub fails: no region runs", stack: "hub", code: 255, runs: ["hub"], says: /^up of hub/ },
  {
    name: "a person cancels: nothing else runs",
    stack: "berlin",
    code: 8,
    runs: ["hub", "berlin"],
    says: /^up of hub/,
  },
];

for (const { name, stack, code, runs, says } of failing) {
  test(name, async (context) => {
    const { run, calls } = fixture(context, { [`${stack}.exit`]: code });
    const { exitCode, stdout } = await run("up", "--yes");
    assert.equal(exitCode, 1);
    assert.match(stdout, says);
    const ran = calls().flatMap((call) => /^up --stack (\S+)/.exec(call)?.[1] ?? []);
    assert.deepEqual(ran, runs);
  });
}

test("an exit code of pulumi that means something else here is only a failure", async (context) => {
  const { run } = fixture(context, { "tokyo.exit": 3 });
  assert.equal((await run("up", "tokyo", "--yes")).exitCode, 1);
  assert.equal((await run("preview", "tokyo")).exitCode, 1);
  assert.equal((await run("preview", "berlin")).exitCode, 0);
});

test("an unknown stack ends up and preview before anything runs, naming those that there are", async (context) => {
  const { run, calls } = fixture(context);
  for (const command of ["up", "preview"]) {
    const { exitCode, stdout, stderr } = await run(command, "tokyo", "nosuch");
    assert.deepEqual([exitCode, stdout], [2, ""]);
    assert.match(stderr, /^error: stack nosuch is neither the hub nor a region of .* - use hub, berlin, tokyo\n$/);
  }
  assert.deepEqual(calls(), []);
});

test("without pulumi the message says where to get it", async (context) => {
  const { args } = fixture(context);
  const environment = { PATH: temporaryDirectory(context) };
  const { exitCode, stderr } = await edgeFleet(["up", ...args], { environment });
  assert.equal(exitCode, 2);
  assert.match(stderr, /^error: pulumi is not on PATH - install /);
});

test("Ctrl-C reaches pulumi once; the command waits for it, and runs nothing more", async (context) => {
  const { folder, args, environment, calls } = fixture(context, { slow: true });
  const child = spawn(process.execPath, [MAIN, "up", ...args, "--yes"], {
    detached: true,
    stdio: ["ignore", "pipe", "ignore"],
    env: { ...process.env, ...environment },
  });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  for (let attempt = 0; !existsSync(join(folder, "begun")) && attempt < 600; attempt++) await delay(50);
  // A terminal signals its whole foreground process group.
  process.kill(-(child.pid ?? 0), "SIGINT");
  assert.equal(await ended, 1);
  assert.deepEqual(calls(), ["up --stack hub --parallel 64 --yes", "signal"]);
  assert.equal(output, "up of hub, skip=no\n");
});
