/** How the stand-in language host turns the engine's request into a Node process, and that process's end into an answer. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import language from "@pulumi/pulumi/proto/language_pb.js";
import structure from "google-protobuf/google/protobuf/struct_pb.js";
import { describeExit, planRun } from "./language-host.ts";

const REPOSITORY = join(import.meta.dirname, "../../..");

function request(options: Record<string, string | boolean>): InstanceType<typeof language.RunRequest> {
  const info = new language.ProgramInfo();
  info.setRootDirectory(REPOSITORY);
  info.setProgramDirectory(REPOSITORY);
  info.setEntryPoint("index.ts");
  info.setOptions(structure.Struct.fromJavaScript(options));
  const run = new language.RunRequest();
  run.setInfo(info);
  run.setMonitorAddress("127.0.0.1:1");
  run.setOrganization("organization");
  run.setProject("edge-fleet");
  run.setStack("north");
  run.setPwd(REPOSITORY);
  run.setParallel(64);
  run.setDryrun(true);
  run.getConfigMap().set("edge-fleet:region", "north");
  run.setConfigsecretkeysList(["edge-fleet:token"]);
  return run;
}

test("a run becomes the SDK's entry point with the engine's addresses and the project's node arguments", () => {
  const command = planRun({
    request: request({ typescript: false, nodeargs: " --stack-trace-limit=0  --no-warnings" }),
    engine: "127.0.0.1:2",
  });
  assert.deepEqual(command.args, [
    ...["--stack-trace-limit=0", "--no-warnings", join(REPOSITORY, "node_modules/@pulumi/pulumi/cmd/run/index.js")],
    ...["--monitor", "127.0.0.1:1", "--engine", "127.0.0.1:2", "--organization", "organization"],
    ...["--project", "edge-fleet", "--root-directory", REPOSITORY, "--stack", "north", "--pwd", REPOSITORY],
    ...["--parallel", "64", "--dry-run", "index.ts"],
  ]);
  assert.equal(command.cwd, REPOSITORY);
  assert.equal(command.env.PULUMI_CONFIG, '{"edge-fleet:region":"north"}');
  assert.equal(command.env.PULUMI_CONFIG_SECRET_KEYS, '["edge-fleet:token"]');
  assert.equal(command.env.PULUMI_NODEJS_TYPESCRIPT, "false");
});

test("without the typescript option ts-node is on, as with the official host", () => {
  assert.equal(planRun({ request: request({}), engine: "" }).env.PULUMI_NODEJS_TYPESCRIPT, "true");
});

const ends: { code: number | null; signal: string | null; answer: { error: string; bail: boolean } }[] = [
  { code: 0, signal: null, answer: { error: "", bail: false } },
  { code: 32, signal: null, answer: { error: "", bail: true } },
  { code: 1, signal: null, answer: { error: "Program exited with non-zero exit code: 1", bail: false } },
  { code: null, signal: "SIGKILL", answer: { error: "Program was ended by SIGKILL", bail: false } },
];

for (const { code, signal, answer } of ends) {
  test(`a program that ends with ${code ?? signal} is reported as ${JSON.stringify(answer)}`, () => {
    assert.deepEqual(describeExit(code, signal), answer);
  });
}

test("what the host has compiled is kept, though the engine kills it", async (t) => {
  const cache = mkdtempSync(join(tmpdir(), "edge-fleet-compiled-"));
  t.after(() => rmSync(cache, { recursive: true }));
  const host = spawn(process.execPath, [join(import.meta.dirname, "language-host.ts"), "127.0.0.1:1"], {
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(host.stdout, "data");
  host.kill("SIGKILL");
  await once(host, "exit");
  const kept = readdirSync(cache, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  assert.ok(kept.length > 10, `${kept.length} files`);
});
