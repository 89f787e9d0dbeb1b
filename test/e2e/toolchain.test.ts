/**
 * The toolchain as a whole: the Pulumi engine runs a program of this repository's kind (ES modules, TypeScript without a
 * build, a component) through the language host, on a file backend of its own.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { ensureToolchain, type Toolchain } from "../lab/toolchain/index.ts";

const execute = promisify(execFile);
const REPOSITORY = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "edge-fleet-pulumi-"));
const project = join(scratch, "project");
let toolchain: Toolchain;

const PROGRAM = `
import * as pulumi from "@pulumi/pulumi";

class Device extends pulumi.ComponentResource {
  readonly address: pulumi.Output<string>;
  constructor(name: string, args: { address: pulumi.Input<string> }, opts?: pulumi.ComponentResourceOptions) {
    super("edge:index:Device", name, {}, opts);
    this.address = pulumi.output(args.address);
    this.registerOutputs({ address: this.address });
  }
}

const config = new pulumi.Config();
if (config.getBoolean("fail")) throw new Error("the program refuses");
const device = new Device("device-1", { address: config.require("address") });
export const address = device.address;
export const token = config.requireSecret("token");
`;

before(async () => {
  toolchain = await ensureToolchain((line) => console.error(line), ["pulumi", "pulumi-language-nodejs"]);
  mkdirSync(project);
  mkdirSync(join(scratch, "state"));
  symlinkSync(join(REPOSITORY, "node_modules"), join(project, "node_modules"));
  writeFileSync(join(project, "package.json"), '{"name":"trial","type":"module","main":"index.ts"}');
  writeFileSync(join(project, "index.ts"), PROGRAM);
  writeFileSync(
    join(project, "Pulumi.yaml"),
    "name: trial\nruntime: { name: nodejs, options: { typescript: false, nodeargs: --stack-trace-limit=0 } }\nmain: index.ts\n",
  );
  await pulumi("stack", "init", "dev");
  await pulumi("config", "set", "address", "192.0.2.1");
  await pulumi("config", "set", "--secret", "token", "s3cret-value");
});
after(() => rmSync(scratch, { recursive: true, force: true }));

async function pulumi(...args: string[]): Promise<string> {
  const { stdout } = await execute("pulumi", args, {
    cwd: project,
    env: {
      ...process.env,
      ...toolchain.env,
      PULUMI_HOME: join(scratch, "home"),
      PULUMI_BACKEND_URL: `file://${join(scratch, "state")}`,
      PULUMI_CONFIG_PASSPHRASE: "trial",
    },
  });
  return stdout;
}

test("pulumi up runs a TypeScript program with a component and keeps its outputs", async () => {
  const printed = await pulumi("up", "--yes", "--non-interactive", "--stack", "dev");
  assert.ok(!printed.includes("s3cret-value"), "a secret is never printed");
  const outputs = JSON.parse(await pulumi("stack", "output", "--json", "--stack", "dev"));
  assert.deepEqual(outputs, { address: "192.0.2.1", token: "[secret]" });
  const state = JSON.parse(await pulumi("stack", "export", "--stack", "dev"));
  const types = state.deployment.resources.map((resource: { type: string }) => resource.type);
  assert.deepEqual(types.sort(), ["edge:index:Device", "pulumi:pulumi:Stack"]);
});

test("a second up changes nothing", async () => {
  await pulumi("up", "--yes", "--non-interactive", "--expect-no-changes", "--stack", "dev");
});

test("an error in the program fails the run and is shown", async () => {
  await pulumi("config", "set", "fail", "true");
  await assert.rejects(
    pulumi("preview", "--non-interactive", "--stack", "dev"),
    ({ stdout, stderr }: { stdout: string; stderr: string }) => `${stdout}${stderr}`.includes("the program refuses"),
  );
});
