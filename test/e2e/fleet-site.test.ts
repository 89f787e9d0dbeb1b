/**
 * A machine that joins another's cluster with a secret token, through the real engine and without a hub. Each subtest
 * continues where the last one ended.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { K3S_VERSIONS, type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  deviceState,
  type EngineRun,
  editDevices,
  enterLab,
  exportStack,
  logIns,
  type RegionReport,
  registered,
  touched,
  up,
} from "../lab/scenario.ts";

const toolchain = await enterLab();
const [OLD, NEW] = K3S_VERSIONS;

async function startSite(ids: readonly string[]): Promise<LabFleet> {
  const devices = ids.map((id) => ({ id, model: "nuc-4g", ring: "broad" }) as const);
  const fleet = await startLabFleet({ toolchain, devices, withHub: false });
  const enrolled = await fleet.edgeFleet(["enroll", REGION, "--yes"]);
  assert.equal(enrolled.code, 0, enrolled.stderr);
  return fleet;
}

const report = (fleet: LabFleet) => fleet.outputs<RegionReport>(REGION);

const SERVER = "site-1";
const AGENT = "site-2";
const TOKEN = "loopback0join0token0f00d5eed";
/** How a packed payload begins: gzip in base64. */
const PACKED = "H4sI";
const COMES_FIRST = `its server ${SERVER} comes first - run up again after it`;

/** Runs `up` and looks meanwhile at the arguments of every process of the lab, the devices' own included. */
async function watchedUp(fleet: LabFleet): Promise<EngineRun> {
  const seen = new Set<string>();
  const timer = setInterval(() => {
    for (const path of globSync("/proc/[0-9]*/cmdline")) {
      try {
        seen.add(readFileSync(path, "utf8"));
      } catch {
        // The process has ended.
      }
    }
  }, 50);
  const run = await up(fleet).finally(() => clearInterval(timer));
  const all = [...seen].join("\n");
  assert.match(
    all,
    /edge-fleet-device\0(apply|follow|run)/,
    "the device program's runs are among the processes that were seen",
  );
  assert.ok(!all.includes(TOKEN) && !all.includes(PACKED));
  return run;
}

test("a machine that joins another one", async (t) => {
  const fleet = await startSite([SERVER, AGENT]);
  t.after(() => fleet.stop());
  const { devices } = fleet;
  const hashOf = (id: string) => ask(devices, id, "head -n 1 /var/lib/edge-fleet/applied");
  const agent = () =>
    ask(
      devices,
      AGENT,
      `k3s --version | sed -n '1s/k3s version \\([^ ]*\\).*/\\1/p'; systemctl is-enabled k3s-agent
      systemctl show -p MainPID --value k3s-agent; ls /etc/systemd/system/k3s.service 2>/dev/null || echo no server`,
    ).then((text) => text.split("\n"));
  const runs: EngineRun[] = [];
  const run = async (code: number) => {
    const result = await watchedUp(fleet);
    runs.push(result);
    assert.equal(result.code, code, result.text);
    return result;
  };
  fleet.edit(`${REGION}.yaml`, (region) => region.setIn(["network", "shape"], "lan"));
  editDevices(fleet, [AGENT], (entry) => entry.set("joins", SERVER));

  await t.test("without the token nothing begins, and the mend is named", async () => {
    const { code, text } = await up(fleet);
    assert.notEqual(code, 0);
    assert.match(text, /no secret token-site-1, [^\n]*pulumi config set --secret edge-fleet:token-site-1/);
    assert.equal(await ask(devices, SERVER, "ls /usr/local/bin/k3s 2>/dev/null || echo none"), "none");
    const key = `edge-fleet:token-${SERVER}`;
    const set = await fleet.pulumi(["config", "set", "--secret", key, "--stack", REGION], { input: TOKEN });
    assert.equal(set.code, 0, set.stderr);
  });

  await t.test("the first up applies the server alone, the agent is pending", async () => {
    const { operations } = await run(0);
    assert.equal(operations.get(`${SERVER}-apply`), "create");
    assert.equal(operations.get(`${AGENT}-apply`), undefined);
    const { devices: applied, pending, failed } = await report(fleet);
    assert.deepEqual([pending, failed], [{ [AGENT]: COMES_FIRST }, {}]);
    assert.deepEqual(applied, { [SERVER]: await hashOf(SERVER) });
    const config = await ask(devices, SERVER, "cat /etc/rancher/k3s/config.yaml");
    assert.match(config, /^agent-token-file: \/etc\/rancher\/k3s\/agent-token$/m);
    assert.equal((await deviceState(devices, SERVER)).ready, "ok");
    assert.equal(await ask(devices, AGENT, "ls /usr/local/bin/k3s 2>/dev/null || echo none"), "none");
  });

  await t.test("the second up applies the agent alone", async () => {
    const server = await deviceState(devices, SERVER);
    assert.deepEqual(touched(await run(0)), [AGENT, `${AGENT}-apply`]);
    const { devices: applied, pending, failed } = await report(fleet);
    assert.deepEqual([pending, failed], [{}, {}]);
    assert.deepEqual(applied, { [SERVER]: server.hash, [AGENT]: await hashOf(AGENT) });
    assert.deepEqual(await deviceState(devices, SERVER), server);
    const [version, enabled, pid, unit] = await agent();
    assert.deepEqual([version, enabled, unit], [OLD, "enabled", "no server"]);
    assert.match(await ask(devices, AGENT, `tr '\\0' ' ' </proc/${pid}/cmdline`), /^sleep/);
    const config = await ask(devices, AGENT, "cat /etc/rancher/k3s/config.yaml");
    const host = devices.devices.find(({ id }) => id === SERVER)?.host;
    assert.ok(config.includes(`server: https://${host}:6443\ntoken-file: /etc/rancher/k3s/token\n`), config);
    for (const [id, file] of [
      [SERVER, "agent-token"],
      [AGENT, "token"],
    ] as const) {
      const path = `/etc/rancher/k3s/${file}`;
      assert.equal(await ask(devices, id, `stat -c %a ${path}; cat ${path}`), `600\n${TOKEN}`);
    }
  });

  await t.test("a new release of the server holds the agent until the server has it", async () => {
    const before = { agent: await agent(), hash: await hashOf(AGENT) };
    fleet.edit("fleet.yaml", (file) => file.setIn(["k3s", "version"], NEW));
    assert.deepEqual(touched(await run(0)), [`${SERVER}-apply`]);
    assert.equal((await deviceState(devices, SERVER)).version, NEW);
    const held = await report(fleet);
    assert.deepEqual([held.pending, held.failed], [{ [AGENT]: COMES_FIRST }, {}]);
    assert.equal(held.devices[AGENT], before.hash);
    assert.deepEqual([await agent(), await hashOf(AGENT)], [before.agent, before.hash]);
    assert.deepEqual(touched(await run(0)), [`${AGENT}-apply`]);
    const [version, , pid] = await agent();
    assert.equal(version, NEW);
    assert.notEqual(pid, before.agent[2]);
    assert.deepEqual((await report(fleet)).pending, {});
  });

  await t.test("the token is in no plain state, log, argument or output", async () => {
    const { text, resources } = await exportStack(fleet);
    assert.deepEqual(await registered(fleet), [SERVER, AGENT]);
    for (const id of [SERVER, AGENT]) {
      const { inputs } = resources.find(({ urn }) => urn.endsWith(`::${id}-apply`)) ?? {};
      assert.match(JSON.stringify(inputs), /"stdin":\{[^}]*"ciphertext":/, id);
    }
    const outputs = JSON.stringify(await report(fleet));
    const log = readFileSync(join(fleet.directory, "events.jsonl"), "utf8");
    assert.ok(!log.includes(TOKEN));
    // Debug messages of the SDK show a secret input as it is; nobody sees them but who asks for `--debug`.
    const events = log.replaceAll(/^.*"severity":"debug".*$/gm, "");
    assert.match(events, /resourcePreEvent/);
    const shown = Object.fromEntries(runs.map((each, index) => [`output of run ${index + 1}`, each.text]));
    for (const [name, content] of Object.entries({ state: text, outputs, events, ...shown })) {
      for (const secret of [TOKEN, PACKED]) {
        const at = content.indexOf(secret);
        assert.equal(at, -1, `${name}: ${content.slice(Math.max(0, at - 300), at + 20)}`);
      }
    }
    const files = ["state", "project", "devices", "pulumi-home"].flatMap((name) =>
      readdirSync(join(fleet.directory, name), { recursive: true, withFileTypes: true }).filter((entry) =>
        entry.isFile(),
      ),
    );
    assert.ok(files.some(({ name }) => name === `${REGION}.json`));
    assert.ok(files.some(({ name }) => name === `Pulumi.${REGION}.yaml`));
    const holding = files.filter((entry) => {
      const content = readFileSync(join(entry.parentPath, entry.name));
      return content.includes(TOKEN) || (/\/(state|pulumi-home)\b/.test(entry.parentPath) && content.includes(PACKED));
    });
    assert.deepEqual(
      holding.map(({ name }) => name),
      [],
    );
    for (const id of [SERVER, AGENT]) {
      const written = await ask(devices, id, "cat /var/log/edge-fleet/apply.log /var/log/k3s*.log");
      assert.ok(written.length > 0 && !written.includes(TOKEN) && !written.includes(PACKED), id);
      const found = await ask(
        devices,
        id,
        `grep -rlF ${TOKEN} /etc /var /run /tmp 2>/dev/null | xargs stat -c '%a %n'`,
      );
      for (const line of found.split("\n")) assert.match(line, /^600 /, id);
    }
  });

  await t.test("edge-fleet up finds nothing to do and leaves no event log, which would hold payloads", async () => {
    const before = logIns(devices);
    const env = { TMPDIR: fleet.directory };
    const { code, stdout, stderr } = await fleet.edgeFleet(["up", REGION, "--yes"], { env });
    assert.equal(code, 0, stdout + stderr);
    assert.equal(logIns(devices), before);
    assert.ok(![TOKEN, PACKED].some((secret) => (stdout + stderr).includes(secret)));
    assert.deepEqual(globSync(join(fleet.directory, "edge-fleet-*")), []);
  });

  await t.test("edge-fleet up that is killed leaves no event either, and the engine ends its run alone", async () => {
    const before = logIns(devices);
    fleet.edit("fleet.yaml", (file) => file.setIn(["kubelet", "maxPods"], 40));
    const env = { TMPDIR: fleet.directory };
    const run = fleet.edgeFleet(["up", REGION, "--yes"], { env });
    for (const end = Date.now() + 60_000; logIns(devices) === before && Date.now() < end; ) await sleep(50);
    killEdgeFleet();
    // It is over when the engine too has closed its output.
    const { code } = await run;
    assert.notEqual(code, 0);
    const left = globSync(join(fleet.directory, "edge-fleet-*", "**"), { withFileTypes: true });
    assert.deepEqual(
      left.filter((entry) => entry.isFile()).map(({ name }) => name),
      [],
    );
    assert.ok(
      left.some((entry) => entry.isSocket()),
      "it was killed before it could clear up",
    );
    assert.deepEqual(globSync(join(fleet.directory, "state/.pulumi/locks/**/*.json")), []);
    assert.equal((await report(fleet)).devices[SERVER], await hashOf(SERVER));
  });
});

/** Kills the one `edge-fleet` that this process has started, and nothing that it has started itself. */
function killEdgeFleet(): void {
  const lines = execFileSync("ps", ["-e", "-o", "pid=,ppid=,args="], { encoding: "utf8" }).trim().split("\n");
  const own = lines.map((line) => /^\s*(\d+)\s+(\d+)\s(.*)$/.exec(line) ?? []);
  const found = own.filter(([, , parent, args = ""]) => Number(parent) === process.pid && args.includes("cli/main.ts"));
  assert.equal(found.length, 1, "one edge-fleet runs");
  process.kill(Number(found[0]?.[1]), "SIGKILL");
}
