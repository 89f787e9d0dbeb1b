/** `edge-fleet backup list` and `edge-fleet backup restore` as an operator runs them: over a real SSH server, on a device of its own. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { BackupPush } from "../../components/inventory/types.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import { Device, LOCK, OLD, profileWith } from "../lab/standins/apply-device.ts";
import { Sandbox } from "../lab/standins/sandbox.ts";
import { makeRecipient } from "../lab/standins/upload-server.ts";
import { edgeFleet } from "../unit/cli/command.ts";
import { temporaryDirectory, writeInventory } from "../unit/cli/inventory.ts";
import { SKIP, type SshClient, startAgent, startSshd } from "../unit/cli/sshd.ts";

const DATA = "/var/lib/rancher/k3s/server";
const BACKUPS = "/var/lib/edge-fleet/backups";
const RECIPIENT = makeRecipient();

describe("copies, from the controller", { skip: SKIP }, () => {
  let sandbox: Sandbox;
  let device: Device;
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-copies-"));
  const push: BackupPush = { url: "https://127.0.0.1:9/edge", recipient: RECIPIENT.certificate };
  const profile = profileWith(OLD, { backup: { everyHours: 2, keep: 3, push } });

  before(async () => {
    sandbox = await Sandbox.start("dash");
    device = new Device(sandbox);
    device.installProgram();
  });
  after(async () => {
    await sandbox.stop();
    rmSync(folder, { recursive: true });
  });

  /** An inventory with the device behind a server whose every session runs on the device. */
  const connect = async (context: TestContext, user = "root"): Promise<{ client: SshClient; stacks: string }> => {
    const client = await startAgent(context, temporaryDirectory(context));
    const entry = sandbox.entry.map((word) => word.replaceAll('"', "")).join(" ");
    const forced = `command="exec ${entry} sh -c \\"$SSH_ORIGINAL_COMMAND\\""`;
    const server = await startSshd(context, temporaryDirectory(context), {
      ...client,
      publicKey: `${forced} ${client.publicKey}`,
    });
    const text = `region: tokyo\ndevices:\n  - { id: edge-0001, host: 127.0.0.1, model: box, ssh: { user: ${user}, port: ${server.port} }, hostKey: ${server.hostKey} }\n  - { id: new, host: 127.0.0.2, model: box }\n`;
    return { client, stacks: writeInventory(context, { "tokyo.yaml": text }) };
  };

  const run = async (at: { client: SshClient; stacks: string }, ...args: string[]) => {
    const options = { environment: at.client.environment };
    return edgeFleet([...args, "--inventory", at.stacks], options);
  };

  /** A copy of `first` on the device and encrypted in a file; the datastore is `second` by now. */
  const prepare = (): { name: string; file: string; key: string; plain: string } => {
    device.wipe();
    device.push(OLD);
    assert.equal(device.applyText(payloadText(renderPayload(profile, LOCK))).result, "applied");
    const write = (what: string) => device.sh(`echo ${what} >${DATA}/db/state.db; echo token-${what} >${DATA}/token`);
    write("first");
    device.sh(`${PROGRAM_PATH} maintain`);
    write("second");
    const name = device.sh(`cd ${BACKUPS} && ls -d *Z`);
    const [file, key, plain] = ["copy.cms", "key.pem", "copy.tar.gz"].map((end) => join(folder, end)) as [
      string,
      string,
      string,
    ];
    writeFileSync(key, RECIPIENT.key, { mode: 0o600 });
    const packed = spawnSync("tar", ["-czf", "-", "-C", `${sandbox.root}${BACKUPS}`, name]).stdout;
    writeFileSync(plain, packed);
    writeFileSync(join(folder, "recipient.pem"), RECIPIENT.certificate);
    const args = ["cms", "-encrypt", "-binary", "-stream", "-outform", "DER", "-aes-256-cbc", "-out", file];
    assert.equal(spawnSync("openssl", [...args, join(folder, "recipient.pem")], { input: packed }).status, 0);
    return { name, file, key, plain };
  };
  const state = () => device.sh(`sed '/^bootstrap /d' ${DATA}/db/state.db; cat ${DATA}/token`).replace("\n", " ");

  test("the copies of a device are listed with their time, their size and whether they are sent", async (context) => {
    const at = await connect(context);
    const { name } = prepare();
    const { exitCode, stdout } = await run(at, "backup", "list", "edge-0001");
    assert.equal(exitCode, 0);
    assert.match(
      stdout,
      new RegExp(`^COPY +TIME +SIZE +SENT\\n${name} +\\d{4}-\\d\\d-\\d\\dT\\S+Z +\\d+\\.\\d MiB +no\\n`),
    );
    assert.match(
      stdout,
      /\nedge-0001: 1 copy, sent to https:\/\/127\.0\.0\.1:9\/edge\/tokyo\/edge-0001\nnot sent: no connection/,
    );
    const json = JSON.parse((await run(at, "backup", "list", "edge-0001", "--json")).stdout) as Record<string, unknown>;
    assert.deepEqual(Object.keys(json), ["device", "url", "unsent", "copies"]);
    device.sh(`echo https://127.0.0.1:9/edge/tokyo/edge-0001 >${BACKUPS}/${name}.sent`);
    assert.match((await run(at, "backup", "list", "edge-0001")).stdout, / yes\n/);
  });

  test("the newest copy, a named one, a sent one and a decrypted one come back", async (context) => {
    const at = await connect(context);
    const { name, file, key, plain } = prepare();
    for (const how of [[], ["--copy", name], ["--from", file, "--key", key], ["--from", plain]]) {
      device.sh(`echo second >${DATA}/db/state.db; echo token-second >${DATA}/token`);
      const { exitCode, stdout, stderr } = await run(at, "backup", "restore", "edge-0001", "--yes", ...how);
      assert.equal(exitCode, 0, stdout + stderr);
      assert.match(
        stdout,
        new RegExp(
          `^edge-0001: restored ${name}; what was there is \\d{8}T\\d{6}Z-before\\nNext: edge-fleet kubeconfig edge-0001 `,
        ),
      );
      assert.equal(state(), "first token-first");
      device.sh("sleep 1.1");
    }
    const { stdout } = await run(at, "backup", "restore", "edge-0001", "--yes", "--json");
    assert.equal((JSON.parse(stdout) as { result: string }).result, "restored");
    device.assertTidy();
  });

  test("what the device refuses, and a copy that does not start, are told and end with 1", async (context) => {
    const at = await connect(context);
    const { name } = prepare();
    const missing = await run(at, "backup", "restore", "edge-0001", "--yes", "--copy", "20200101T000000Z");
    assert.deepEqual(
      [missing.exitCode, missing.stdout],
      [
        1,
        "edge-0001: failed: copy: 20200101T000000Z is not here - see edge-fleet backup list edge-0001, or send one with --from\n",
      ],
    );
    device.sh(
      `echo migrated >>${BACKUPS}/${name}/db/state.db; sed -i 's/^set READY_SECONDS .*/set READY_SECONDS 2/' /var/lib/edge-fleet/settings`,
    );
    const back = await run(at, "backup", "restore", "edge-0001", "--yes");
    assert.equal(back.exitCode, 1);
    assert.match(
      back.stdout,
      /^edge-0001: rolled-back: not-ready: with \S+ k3s does not run after 2 s; k3s says: the datastore is of a newer release; back on the state before; what was there is \S+-before\n$/,
    );
    assert.equal(state(), "second token-second");
  });

  test("wrong usage ends with 2 before anything is dialled, a device out of reach with 3", async (context) => {
    const at = await connect(context);
    const { file, plain } = prepare();
    writeFileSync(join(folder, "other.pem"), makeRecipient().key, { mode: 0o600 });
    for (const [args, message] of [
      [["edge-0001"], /nobody can be asked whether to restore edge-0001 - add --yes/],
      [["edge-0001", "--key", plain], /--key decrypts the file of --from, which is missing/],
      [["edge-0001", "--copy", "../x"], /--copy \.\.\/x: is no name of a copy/],
      [["edge-0001", "--from", "/nowhere"], /--from \/nowhere: cannot be read/],
      [["edge-0001", "--from", file], /--key is missing: the copy is encrypted/],
      [["edge-0001", "--from", file, "--key", join(folder, "other.pem")], /cannot be decrypted with/],
      [["edge-0001", "--from", file, "--copy", "x"], /cannot be used with/],
      [["edge-0009", "--yes"], /device edge-0009 is in no region/],
      [["new", "--yes"], /device new is not enrolled - run edge-fleet enroll tokyo/],
    ] satisfies [string[], RegExp][]) {
      const { exitCode, stderr } = await run(at, "backup", "restore", ...args);
      assert.equal(exitCode, 2, stderr);
      assert.match(stderr, message);
    }
    assert.equal(state(), "second token-second");
    const away = writeInventory(context, {
      "tokyo.yaml": `region: tokyo\ndevices:\n  - { id: edge-0001, host: 127.0.0.1, model: box, ssh: { port: 9 }, hostKey: ssh-ed25519 ${"A".repeat(68)} }\n`,
    });
    const unreachable = await run({ ...at, stacks: away }, "backup", "list", "edge-0001");
    assert.equal(unreachable.exitCode, 3);
    assert.match(unreachable.stdout, /^edge-0001: pending: refused: nothing listens on the port/);
  });

  test("a device with an older program is told from one without copies", async (context) => {
    const at = await connect(context);
    prepare();
    sandbox.write(PROGRAM_PATH, "#!/bin/sh\necho 'usage: edge-fleet-device apply' >&2\nexit 2\n");
    const { exitCode, stdout } = await run(at, "backup", "list", "edge-0001");
    device.installProgram();
    assert.deepEqual(
      [exitCode, stdout],
      [
        1,
        "edge-0001: failed: program: the device program is missing or of another release - run edge-fleet up tokyo\n",
      ],
    );
    device.sh(`rm -rf ${BACKUPS}`);
    assert.match((await run(at, "backup", "list", "edge-0001")).stdout, /^edge-0001: 0 copies, sent to/);
  });
});
