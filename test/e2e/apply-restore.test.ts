/** A copy back in the place of the datastore: from the device, from what was sent, and across every interruption. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { NEW, OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";
import { halfOf } from "../lab/standins/kills.ts";

const DATA = "/var/lib/rancher/k3s/server";
const STATE = "/var/lib/edge-fleet";
const TIME = "20261124T030000Z";

/** A tar.gz of files by path; `{ link }` is a symbolic link. */
function archive(files: Readonly<Record<string, string | { readonly link: string }>>, ...options: string[]): Buffer {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-archive-"));
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      if (typeof content === "string") writeFileSync(join(folder, path), content);
      else symlinkSync(content.link, join(folder, path));
    }
    const args = ["-czf", "-", "-C", folder, ...options, ...Object.keys(files)];
    const { status, stdout } = spawnSync("tar", args);
    assert.equal(status, 0);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

underEachShell("restored copies", (get, shell) => {
  const old = profileWith(OLD, { backup: { everyHours: 2, keep: 2, push: undefined } });

  /** A device with a copy of `first`, whose datastore is `second` by now. */
  const install = (): string => {
    const { device } = get();
    device.install(old);
    write("first");
    device.sh(`${PROGRAM_PATH} maintain`);
    write("second");
    return device.sh(`cd ${STATE}/backups && ls -d *Z`);
  };
  const write = (what: string) =>
    get().device.sh(`echo ${what} >${DATA}/db/state.db; echo token-${what} >${DATA}/token`);
  const state = () => get().device.sh(`sed '/^bootstrap /d' ${DATA}/db/state.db; cat ${DATA}/token`).replace("\n", " ");
  const FIRST = "first token-first";
  const SECOND = "second token-second";

  const restore = (argument = "", stdin: string | Buffer = "") => {
    const { sandbox, device } = get();
    sandbox.write("/run/restored.tar.gz", stdin);
    const { code, stdout, stderr } = sandbox.run(`${PROGRAM_PATH} restore ${argument} </run/restored.tar.gz`);
    assert.equal(stderr, "");
    assert.match(stdout, /^\{[^\n]+\}\n$/, device.sh("tail -n 20 /var/log/edge-fleet/apply.log 2>/dev/null || :"));
    const answer = JSON.parse(stdout) as Record<"device" | "result" | "copy" | "before" | "reason", string>;
    assert.equal(code, answer.result === "restored" ? 0 : 1);
    return answer;
  };
  const assertWell = () => {
    const { device } = get();
    device.assertIs(old);
    assert.equal(device.sh(`ls -d ${STATE}/restoring ${STATE}/received.* ${DATA}/.db.new 2>/dev/null || :`), "");
    assert.equal(device.apply(old).result, "unchanged");
  };

  test("the newest copy comes back, and what was there is a copy that can come back, too", () => {
    const { device } = get();
    const copy = install();
    const { before, ...answer } = restore();
    assert.deepEqual(answer, { device: "edge-0001", result: "restored", copy, reason: "" });
    assert.match(before, /^\d{8}T\d{6}Z-before$/);
    assert.equal(state(), FIRST);
    assert.equal(device.sh(`sed '/^bootstrap /d' ${STATE}/backups/${before}/db/state.db`), "second");
    assertWell();
    assert.equal(restore().copy, copy, "what was replaced is never the newest copy");
    assert.equal(restore(before).result, "restored");
    assert.equal(state(), SECOND);
    assert.equal(device.sh(`ls -d ${STATE}/backups/*-before | wc -l`), "2", "they are bounded, too");
    assertWell();
    const listed = JSON.parse(device.sh(`${PROGRAM_PATH} backups`)) as { copies: { name: string }[] };
    assert.deepEqual(
      listed.copies.map(({ name }) => name).filter((name) => !name.endsWith("before")),
      [copy],
    );
  });

  test("a copy that was sent comes back on stdin", () => {
    const { device, sandbox } = get();
    const copy = install();
    sandbox.run(`tar -czf /run/sent.tar.gz -C ${STATE}/backups ${copy}`);
    device.install(old);
    device.sh(`echo other >${DATA}/tls/ca.crt; echo other >${DATA}/token`);
    const { code, stdout } = sandbox.run(`${PROGRAM_PATH} restore - </run/sent.tar.gz`);
    assert.match(stdout, /"result":"restored"/);
    assert.equal(code, 0);
    assert.equal(state(), FIRST);
    device.sh(`! ls ${DATA}/tls/ca.crt 2>/dev/null # authorities of the other installation are gone`);
    assertWell();
  });

  const good = { [`${TIME}/db/state.db`]: "third\n", [`${TIME}/token`]: "token-third\n" };
  const about = (device: string, version: string) => ({
    [`${TIME}/about`]: `device ${device}\ndistribution k3s\nversion ${version}\n`,
  });
  let prepared = false;
  for (const [what, sent, reason] of [
    ["no archive", () => Buffer.from("PK"), /^copy: it is no tar\.gz, or cut off - decrypt it/],
    ["half an archive", () => archive(good).subarray(0, 60), /^copy: it is no tar\.gz, or cut off/],
    [
      "a path upwards",
      () => archive({ ...good, [`${TIME}/x`]: "x" }, "-P", "--transform=s|/x$|/db/../../../../etc/x|"),
      /is no part of a copy/,
    ],
    [
      "another file",
      () => archive({ ...good, [`${TIME}/authorized_keys`]: "x" }),
      /authorized_keys is no part of a copy/,
    ],
    ["a link", () => archive({ ...good, [`${TIME}/pki`]: { link: "/etc" } }), /^copy: it holds links or devices/],
    ["two copies", () => archive({ ...good, "20261125T030000Z/token": "x" }), /20261125T030000Z\/token is no part/],
    ["no datastore", () => archive({ [`${TIME}/token`]: "x" }), /^copy: it holds no datastore of k3s/],
    [
      "a copy of another device",
      () => archive({ ...good, ...about("edge-0002", OLD) }),
      /it is of edge-0002, not of edge-0001/,
    ],
    [
      "a copy of a newer release",
      () => archive({ ...good, ...about("edge-0001", "v1.37.1+k3s1") }),
      /v1\.37 made it, and v1\.36 cannot read it/,
    ],
  ] satisfies [string, () => Buffer, RegExp][]) {
    test(`${what} is refused, and nothing is changed`, () => {
      const { device } = get();
      if (!prepared) install();
      prepared = true;
      const pid = device.pid();
      const { result, reason: given } = restore("-", sent());
      assert.equal(result, "failed");
      assert.match(given, reason);
      assert.equal(state(), SECOND);
      assert.equal(device.pid(), pid);
      assert.equal(device.sh(`ls -d /etc/x ${STATE}/received.* 2>/dev/null || :`), "");
      device.assertIs(old);
    });
  }

  test("an absolute path is refused or lands in the copy, never where it says", () => {
    const { device } = get();
    install();
    const { result } = restore("-", archive(good, "-P", `--transform=s|^|/|`));
    assert.equal(state(), result === "restored" ? "third token-third" : SECOND);
    assert.equal(device.sh(`ls -d /${TIME} 2>/dev/null || :`), "");
    assertWell();
  });

  test("a name that is no copy's is refused", () => {
    const { device } = get();
    install();
    for (const name of ["../previous", TIME, "/etc", "x;y", `${TIME}/../..`, "*"])
      assert.match(restore(`'${name}'`).reason, /is no name of a copy|is not here/);
    device.sh(`rm -rf ${STATE}/backups`);
    assert.match(restore().reason, /^copy: none is not here - see edge-fleet backup list edge-0001, or send one/);
    assertWell();
  });

  test("a copy with which the device does not become ready is taken back", () => {
    const { device } = get();
    const copy = install();
    device.sh(`echo migrated >>${STATE}/backups/${copy}/db/state.db`);
    device.apply({ ...old, readiness: { timeoutSeconds: 2 } });
    const { result, reason, before } = restore();
    assert.equal(result, "rolled-back");
    assert.match(
      reason,
      /^not-ready: with \S+ k3s does not run after 2 s; k3s says: the datastore is of a newer release; back on the state before$/,
    );
    assert.equal(state(), SECOND);
    assert.equal(device.sh(`sed '/^bootstrap /d' ${STATE}/backups/${before}/db/state.db`), "second");
    assertWell();
  });

  test("a device that was broken before keeps the copy, whatever the gate says", () => {
    const { device } = get();
    const copy = install();
    device.sh(
      `systemctl stop k3s; echo migrated >>${STATE}/backups/${copy}/db/state.db; echo migrated >>${DATA}/db/state.db`,
    );
    device.sh(`sed -i 's/^set READY_SECONDS .*/set READY_SECONDS 2/' ${STATE}/settings`);
    const { result, reason } = restore();
    assert.equal(result, "failed");
    assert.match(
      reason,
      /^not-ready: \S+ is in place, but k3s does not run after 2 s; k3s says: the datastore is of a newer release - read/,
    );
    assert.equal(state(), "first migrated\ntoken-first");
  });

  for (const point of halfOf(["put1", "datastore", "put2", "put3"], shell)) {
    for (const [who, converge] of [
      ["another restore", () => assert.equal(restore().result, "restored")],
      ["an apply", () => assert.equal(get().device.apply(old).result, "unchanged")],
      ["the timer", () => void get().device.sh(`${PROGRAM_PATH} maintain`)],
      ["the boot", () => get().device.powerCycle()],
    ] satisfies [string, () => void][]) {
      test(`killed at ${point}, ${who} brings the device to the copy or leaves it whole`, async () => {
        const { device } = get();
        install();
        device.killAt(point);
        assert.match(restore().reason, /^interrupted: the run died/);
        device.killAt("");
        converge();
        await device.settle();
        const untouched = point === "put1" && who !== "another restore";
        assert.equal(state(), untouched ? SECOND : FIRST);
        if (!untouched) assert.equal(device.sh(`sed '/^bootstrap /d' ${STATE}/backups/*-before/db/state.db`), "second");
        assertWell();
      });
    }
  }

  test("an agent, a device that was never applied and one whose run was cut off are left alone", () => {
    const { device } = get();
    install();
    device.push(NEW);
    device.killAt("gate");
    device.apply(profileWith(NEW));
    device.killAt("");
    assert.match(restore().reason, /^apply: a run was cut off - run edge-fleet up/);
    assert.equal(device.apply(old).result, "applied");
    device.sh(`sed -i 's/^set PREFLIGHT /set PREFLIGHT role=agent /' ${STATE}/settings`);
    assert.match(restore().reason, /^agent: this device has no datastore/);
    device.wipe();
    assert.match(restore().reason, /^settings: no apply has succeeded here yet/);
  });

  test("two at a time are refused", () => {
    const { device } = get();
    install();
    device.sh(
      `mkdir -p ${STATE}/restore; cp /bin/sleep /run/edge-fleet-device; setsid /run/edge-fleet-device 30 </dev/null >/dev/null 2>&1 & echo $! >${STATE}/restore/pid`,
    );
    assert.match(restore().reason, /^locked: another restore is under way/);
    device.sh(`kill $(cat ${STATE}/restore/pid); rm -f /run/edge-fleet-device`);
    assert.equal(restore().result, "restored");
    assertWell();
  });
});
