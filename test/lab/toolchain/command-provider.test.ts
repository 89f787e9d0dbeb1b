/**
 * What a `command:local:Command` does, as claimed of github.com/pulumi/pulumi-command v1.2.1: for whichever provider is
 * first on PATH, the lab's stand-in or the official one.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { findOnPath } from "./build.ts";
import { type Properties, type ProviderClient, secret, startProvider, UNKNOWN } from "./provider-client.ts";

const TYPE = "command:local:Command";
const executable = findOnPath("pulumi-resource-command") ?? "";
const scratch = mkdtempSync(join(tmpdir(), "edge-fleet-command-"));
let provider: ProviderClient;
before(async () => {
  assert.ok(executable, "pulumi-resource-command is not on PATH - run the tests by node test/run.ts");
  provider = await startProvider(executable, TYPE, { ...process.env, FROM_ENGINE: "engine", SHADOWED: "engine" });
});
after(async () => {
  await provider.stop();
  rmSync(scratch, { recursive: true });
});

/** Stdout and stderr of a state. */
const printed = ({ stdout, stderr }: Properties) => [stdout, stderr];

const creations: { name: string; inputs: Properties; stdout: string; stderr?: string }[] = [
  {
    name: "one newline at the end is cut",
    inputs: { create: "printf 'a\\n\\n'; printf 'b\\n' >&2" },
    stdout: "a\n",
    stderr: "b",
  },
  { name: "stdin is passed", inputs: { create: "cat", stdin: "plan\n" }, stdout: "plan" },
  {
    name: "an empty stdin is no stdin",
    inputs: { create: "readlink /proc/self/fd/0", stdin: "" },
    stdout: "/dev/null",
  },
  {
    name: "the shell is /bin/sh",
    inputs: { create: "tr '\\0' ' ' </proc/$$/cmdline" },
    stdout: "/bin/sh -c tr '\\0' ' ' </proc/$$/cmdline ",
  },
  {
    name: "another interpreter",
    inputs: { create: "text", interpreter: ["/bin/echo", "-n", "some"] },
    stdout: "some text",
  },
  { name: "the provider's folder is the command's", inputs: { create: "pwd" }, stdout: process.cwd() },
  { name: "another folder", inputs: { create: "pwd", dir: scratch }, stdout: scratch },
  {
    name: "the environment is the provider's, then the resource's",
    inputs: { create: 'echo "$FROM_ENGINE $SHADOWED $OWN"', environment: { OWN: "own", SHADOWED: "resource" } },
    stdout: "engine resource own",
  },
  {
    name: "a secret in the environment leaves the output plain",
    inputs: { create: 'echo "$S"', environment: { S: secret("s") } },
    stdout: "s",
  },
  { name: "a secret stdin leaves the output plain", inputs: { create: "cat", stdin: secret("s") }, stdout: "s" },
  { name: "a secret command leaves the output plain", inputs: { create: secret("echo s") }, stdout: "s" },
  { name: "no command prints nothing", inputs: { update: "echo never" }, stdout: "" },
];
for (const { name, inputs, stdout, stderr = "" } of creations) {
  test(`create: ${name}; the state is the inputs and the output`, async () => {
    assert.deepEqual(await provider.create(inputs), { ...inputs, stdout, stderr });
  });
}

test("a preview runs nothing, and knows the inputs but not the output", async () => {
  const witness = join(scratch, "previewed");
  const inputs = { create: `touch ${witness}`, environment: { A: "a", S: secret("s") } };
  assert.deepEqual(await provider.create(inputs, { preview: true }), { ...inputs, stdout: UNKNOWN, stderr: UNKNOWN });
  const state = { ...inputs, stdout: "before", stderr: "" };
  const changed = { ...inputs, environment: { A: "b", S: secret("s") } };
  assert.deepEqual(printed(await provider.update(state, changed, { preview: true })), [UNKNOWN, UNKNOWN]);
  assert.deepEqual(printed(await provider.update(state, inputs, { preview: true })), ["before", ""]);
  const added = { ...inputs, stdin: "new" };
  assert.deepEqual(printed(await provider.update(state, added, { preview: true })), ["before", ""]);
  const { environment: _, ...removed } = inputs;
  assert.deepEqual(printed(await provider.update(state, removed, { preview: true })), [UNKNOWN, UNKNOWN]);
  const unknown = { ...inputs, stdin: UNKNOWN };
  assert.deepEqual(printed(await provider.update(state, unknown, { preview: true })), [UNKNOWN, UNKNOWN]);
  assert.ok(!existsSync(witness));
});

const PREVIOUS =
  'echo "[$PULUMI_COMMAND_STDOUT][$PULUMI_COMMAND_STDERR]"; env | grep -c "^PULUMI_COMMAND_STDERR="; true';
const updates: { name: string; inputs: Properties; state?: Properties; stdout: string }[] = [
  { name: "update is run", inputs: { create: "echo create", update: "echo update" }, stdout: "update" },
  { name: "create is run where there is no update", inputs: { create: "echo create" }, stdout: "create" },
  { name: "without either the output stays", inputs: { delete: "true" }, stdout: "out" },
  { name: "the previous output is offered", inputs: { create: PREVIOUS }, stdout: "[out][err]\n1" },
  { name: "an empty one is not", inputs: { create: PREVIOUS }, state: { stdout: "", stderr: "" }, stdout: "[][]\n0" },
  {
    name: "none is when it is not wanted",
    inputs: { create: PREVIOUS, addPreviousOutputInEnv: false },
    stdout: "[][]\n0",
  },
  {
    name: "the previous output overrides the resource's own variable",
    inputs: { create: PREVIOUS, environment: { PULUMI_COMMAND_STDOUT: "own" } },
    stdout: "[out][err]\n1",
  },
  {
    name: "a secret previous output is opened",
    inputs: { create: PREVIOUS },
    state: { stdout: secret("s"), stderr: "" },
    stdout: "[s][]\n0",
  },
];
for (const { name, inputs, state = { stdout: "out", stderr: "err" }, stdout } of updates) {
  test(`update: ${name}`, async () => {
    const [now] = printed(await provider.update({ create: "true", ...state }, inputs));
    assert.equal(now, stdout);
  });
}

test("delete runs what the state says, with its environment and output, and nothing without it", async () => {
  const file = join(scratch, "deleted");
  const state = {
    delete: `echo "$A $PULUMI_COMMAND_STDOUT" >${file}`,
    environment: { A: "a" },
    stdout: "out",
    stderr: "",
  };
  await provider.delete({ create: "exit 1", stdout: "", stderr: "" });
  assert.ok(!existsSync(file));
  await provider.delete(state);
  assert.equal(readFileSync(file, "utf8"), "a out\n");
  await assert.rejects(provider.delete({ ...state, delete: "exit 4" }), {
    message: 'exit status 4: running "exit 4":\n',
  });
});

test("an error names the command and all that it printed; a folder or interpreter that lacks is one", async () => {
  const create = "echo out; sleep 0.1; echo err >&2; exit 3";
  await assert.rejects(provider.create({ create }), { message: `exit status 3: running "${create}":\nout\nerr\n` });
  const state = { create: "true", stdout: "", stderr: "" };
  await assert.rejects(provider.update(state, { create: "exit 5" }), { message: 'exit status 5: running "exit 5":\n' });
  await assert.rejects(provider.create({ create: "true", dir: "/nowhere" }), {
    message: 'chdir /nowhere: no such file or directory: running "true":\n',
  });
  await assert.rejects(provider.create({ create: "true", interpreter: ["/nowhere"] }), {
    message: 'fork/exec /nowhere: no such file or directory: running "true":\n',
  });
});

for (const [logging, expected] of [
  [undefined, ["first", "", "second"]],
  ["stdoutAndStderr", ["first", "", "second"]],
  ["stdout", ["first", ""]],
  ["stderr", ["second"]],
  ["none", []],
] as const) {
  test(`logging ${logging ?? "by default"}: each line is told, and the output kept all the same`, async () => {
    const from = provider.log.length;
    const create = "printf 'first\\n\\n'; sleep 0.2; echo second >&2";
    const state = await provider.create(logging ? { create, logging } : { create });
    assert.deepEqual(printed(state), ["first\n", "second"]);
    assert.deepEqual(provider.log.slice(from), expected);
  });
}

const none = { names: [], replaces: [], detail: {} };
const before1 = { create: "a", environment: { A: "a", S: secret("s") }, triggers: ["x", "y"], stdin: "plan" };
const differences: { name: string; old?: Properties; news: Properties; expected: object }[] = [
  { name: "equal inputs do not differ", news: { ...before1 }, expected: none },
  { name: "what the engine adds does not count", news: { ...before1, __defaults: [], version: "1" }, expected: none },
  {
    name: "a changed input updates",
    news: { ...before1, create: "b", stdin: "other" },
    expected: { names: ["create", "stdin"], replaces: [], detail: { create: "UPDATE", stdin: "UPDATE" } },
  },
  {
    name: "a variable is named by its path, a secret one too",
    news: { ...before1, environment: { A: "a", S: secret("t"), "B-C": "new" } },
    expected: {
      names: ["environment"],
      replaces: [],
      detail: { "environment.S": "UPDATE", 'environment["B-C"]': "ADD" },
    },
  },
  {
    name: "a secret that becomes plain differs",
    news: { ...before1, environment: { A: "a", S: "s" } },
    expected: { names: ["environment"], replaces: [], detail: { "environment.S": "UPDATE" } },
  },
  {
    name: "triggers that come replace",
    old: { create: "a" },
    news: { create: "a", triggers: ["x"] },
    expected: { names: ["triggers"], replaces: ["triggers"], detail: { triggers: "ADD_REPLACE" } },
  },
  {
    name: "triggers that go replace",
    old: { create: "a", triggers: ["x"] },
    news: { create: "a" },
    expected: { names: ["triggers"], replaces: ["triggers"], detail: { triggers: "DELETE_REPLACE" } },
  },
  {
    name: "one trigger that changes updates: the SDK makes it replace",
    news: { ...before1, triggers: ["x", "z"] },
    expected: { names: ["triggers"], replaces: [], detail: { "triggers[1]": "UPDATE" } },
  },
];
for (const { name, old = before1, news, expected } of differences) {
  test(`diff: ${name}`, async () => {
    assert.deepEqual(await provider.diff(old, news), expected);
  });
}

test("check names inputs that the resource does not have or that have the wrong type, and takes unknown ones", async () => {
  assert.deepEqual(await provider.check({ ...before1, stdin: UNKNOWN, environment: { A: UNKNOWN } }), {});
  assert.deepEqual(Object.keys(await provider.check({ create: "a", connection: {}, shell: "x" })).sort(), [
    "connection",
    "shell",
  ]);
  assert.deepEqual(Object.keys(await provider.check({ create: 1 })), ["create"]);
});

/** Waits until a file is there. */
async function appears(file: string): Promise<void> {
  while (!existsSync(file)) await sleep(20);
}

for (const ending of ["the engine's cancellation", "the resource's timeout"] as const) {
  test(`${ending} kills the shell, and what it started lives on`, async () => {
    const own = await startProvider(executable, TYPE);
    try {
      const file = join(scratch, ending.replaceAll(/\W/g, "-"));
      const script = join(scratch, "child.sh");
      writeFileSync(script, `trap 'echo term >${file}.end' TERM\nsleep 1.5\necho finished >${file}.end\n`);
      const create = `sh ${script} & echo $$ >${file}.pid; mv ${file}.pid ${file}; wait`;
      const started = performance.now();
      const end = own.create({ create }, { timeout: ending.includes("timeout") ? 1 : 0 });
      const outcome = assert.rejects(end, { message: `signal: killed: running ${JSON.stringify(create)}:\n` });
      await appears(file);
      if (!ending.includes("timeout")) await own.cancel();
      await outcome;
      assert.ok(performance.now() - started >= 1400, "the answer waits for the child, which holds stdout");
      assert.equal(spawnSync("ps", ["-p", readFileSync(file, "utf8").trim()]).status, 1, "the shell is gone");
      assert.equal(readFileSync(`${file}.end`, "utf8"), "finished\n");
    } finally {
      await own.stop();
    }
  });
}

test("a command under exec is itself what is killed", async () => {
  const own = await startProvider(executable, TYPE);
  try {
    const file = join(scratch, "exec");
    const end = own.create({ create: `echo >${file}; exec sleep 30` });
    const outcome = assert.rejects(end, /^Error: signal: killed/);
    await appears(file);
    const started = performance.now();
    await own.cancel();
    await outcome;
    assert.ok(performance.now() - started < 5000);
  } finally {
    await own.stop();
  }
});

test("a logged line of more than 64 KiB ends the reading, and the command hangs; one that is not logged does not", async () => {
  const own = await startProvider(executable, TYPE);
  try {
    const create = "head -c 70000 /dev/zero | tr '\\0' x; head -c 200000 /dev/zero";
    const state = await own.create({ create, logging: "none" });
    assert.equal(String(state.stdout).length, 270_000);
    const hanging = own.create({ create }).then(
      () => "answered",
      () => "answered",
    );
    assert.equal(await Promise.race([hanging, sleep(1000, "hangs")]), "hangs");
  } finally {
    await own.stop();
  }
});
