/**
 * Devices of one site, through the real engine and without a hub: machines that leave the inventory and are erased or not,
 * and one that joins another's cluster with a secret token. Each subtest continues where the last one ended.
 */
import assert from "node:assert/strict";
import { globSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { isMap, isSeq, type YAMLMap } from "yaml";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { K3S_VERSIONS, type LabFleet, REGION, startLabFleet } from "../lab/fleet.ts";
import {
  ask,
  deviceState,
  type EngineRun,
  enterLab,
  exportStack,
  logIns,
  type RegionReport,
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

/** Changes the entries of some devices in the inventory; what `change` returns `false` for is deleted. */
function editDevices(fleet: LabFleet, ids: readonly string[], change: (entry: YAMLMap) => unknown): void {
  fleet.edit(`${REGION}.yaml`, (region) => {
    const list = region.get("devices");
    assert.ok(isSeq(list));
    const named = list.items.filter((item): item is YAMLMap => isMap(item) && ids.includes(String(item.get("id"))));
    assert.equal(named.length, ids.length);
    const deleted = named.filter((entry) => change(entry) === false);
    list.items = list.items.filter((item) => !deleted.includes(item as YAMLMap));
  });
}

const report = (fleet: LabFleet) => fleet.outputs<RegionReport>(REGION);

/** Names of the devices that the stack holds. */
async function registered(fleet: LabFleet): Promise<string[]> {
  const { resources } = await exportStack(fleet);
  return resources.flatMap(({ urn }) => /::([^:]*)-apply$/.exec(urn)?.[1] ?? []).sort();
}

test("devices that leave the inventory", async (t) => {
  const fleet = await startSite(["dark", "kept", "leaves", "stays"]);
  t.after(() => fleet.stop());
  const { devices } = fleet;
  const wiped = ["dark", "leaves", "stays"];
  const leave = (ids: readonly string[]) => editDevices(fleet, ids, () => false);
  const traces = (id: string) =>
    ask(
      devices,
      id,
      `ls -d /usr/local/bin/k3s /etc/rancher /var/lib/rancher /var/lib/edge-fleet /var/lib/edge-fleet/identity.key \\
        ${PROGRAM_PATH} /var/log/edge-fleet /etc/systemd/system/k3s* /etc/systemd/system/edge-fleet-* \\
        /etc/systemd/system/multi-user.target.wants/k3s* 2>/dev/null || :`,
    );
  const drained = (id: string) => ask(devices, id, "cat /run/standin-k3s/drained 2>/dev/null || :");
  const assertErased = async (id: string) => {
    assert.equal(await traces(id), "", id);
    assert.equal(await drained(id), id);
    assert.equal(await ask(devices, id, "systemctl show -p MainPID --value k3s"), "0");
  };
  editDevices(fleet, wiped, (entry) => entry.set("decommission", "wipe"));
  const first = await up(fleet);
  assert.equal(first.code, 0, first.text);
  const complete = await traces("stays");
  for (const path of ["bin/k3s", "etc/rancher", "identity.key", PROGRAM_PATH]) assert.ok(complete.includes(path), path);
  const look = async (id: string) => ({ ...(await deviceState(devices, id)), traces: await traces(id) });
  const before = { kept: await look("kept"), stays: await look("stays"), dark: await look("dark") };

  await t.test(
    "one with wipe is drained and erased, one with retain and a neighbour are left as they are",
    async () => {
      await fleet.pulumi(["config", "set", "edge-fleet:allowRemovals", "1", "--stack", REGION]);
      leave(["kept", "leaves"]);
      const logInsBefore = logIns(devices);
      const run = await up(fleet);
      assert.equal(run.code, 0, run.text);
      assert.deepEqual(touched(run), ["kept", "kept-apply", "leaves", "leaves-apply"]);
      assert.equal(logIns(devices) - logInsBefore, 1, "one log-in, to the device that is erased");
      await assertErased("leaves");
      assert.deepEqual([await look("kept"), await look("stays")], [before.kept, before.stays]);
      assert.deepEqual([await drained("kept"), await drained("stays")], ["", ""]);
      assert.deepEqual(await registered(fleet), ["dark", "stays"]);
    },
  );

  await t.test("one with wipe that does not answer fails with the reason and stays in the state", async () => {
    leave(["dark"]);
    await devices.setMode("dark", "dark");
    const run = await up(fleet);
    assert.notEqual(run.code, 0);
    assert.equal(run.operations.get("dark-apply"), "delete");
    assert.match(run.text, /dark-apply[\s\S]*(i\/o timeout|deadline exceeded)/);
    assert.deepEqual(await registered(fleet), ["dark", "stays"]);
    const { code, stdout, stderr } = await fleet.edgeFleet(["up", REGION, "--yes"]);
    assert.equal(code, 1, stdout + stderr);
    assert.deepEqual([await look("dark"), await drained("dark")], [before.dark, ""]);
  });

  await t.test("it is erased by the first up after it is back", async () => {
    await devices.setMode("dark", "up");
    const run = await up(fleet);
    assert.equal(run.code, 0, run.text);
    await assertErased("dark");
    assert.deepEqual(await registered(fleet), ["stays"]);
  });

  await t.test("one that stays and has lost its pinned key is not erased", async () => {
    editDevices(fleet, ["stays"], (entry) => assert.ok(entry.delete("hostKey")));
    const run = await up(fleet);
    assert.equal(run.code, 0, run.text);
    assert.deepEqual(touched(run), []);
    const { devices: applied, pending } = await report(fleet);
    assert.deepEqual(applied, { stays: before.stays.hash });
    assert.deepEqual(pending, { stays: `not enrolled - run edge-fleet enroll ${REGION}` });
    assert.deepEqual([await look("stays"), await registered(fleet)], [before.stays, ["stays"]]);
  });
});

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
    const holding = files.filter((entry) => readFileSync(join(entry.parentPath, entry.name)).includes(TOKEN));
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

  await t.test("edge-fleet up finds nothing to do and leaves no event log, which holds payloads", async () => {
    const before = logIns(devices);
    const env = { TMPDIR: fleet.directory };
    const { code, stdout, stderr } = await fleet.edgeFleet(["up", REGION, "--yes"], { env });
    assert.equal(code, 0, stdout + stderr);
    assert.equal(logIns(devices), before);
    assert.ok(![TOKEN, PACKED].some((secret) => (stdout + stderr).includes(secret)));
    assert.deepEqual(globSync(join(fleet.directory, "edge-fleet-*")), []);
  });
});
