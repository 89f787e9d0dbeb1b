/** Copies that leave the device, to a real HTTPS server: encrypted, with the log-in, later where the link was down. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { examinationScript } from "../../cli/doctor/script.ts";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import type { BackupPush, Profile } from "../../components/inventory/types.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import { LOCK, OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";
import { signatureProblems } from "../lab/standins/aws-signature.ts";
import type { Sandbox } from "../lab/standins/sandbox.ts";
import { decrypt, makeKeyPair, makeRecipient, UploadServer } from "../lab/standins/upload-server.ts";

const DATA = "/var/lib/rancher/k3s/server";
const BACKUPS = "/var/lib/edge-fleet/backups";
const TRUST = "/etc/edge-fleet-lab/ca.pem";
const PASSWORD = `pa"ss\\wörd: 'x' #1`;
const TOKEN = "K10deadbeef::server:cluster-token";
const RSA = makeKeyPair("-newkey", "rsa:2048", "-subj", "/CN=backups");
const EC = makeRecipient();

/** Records the arguments of a command before it runs: every process could read them there. */
const recording = (command: string) => `#!/bin/sh
printf '%s\\n' "$0 $*" >>/tmp/arguments
exec /usr/bin/${command} "$@"
`;

underEachShell("sent copies", (get) => {
  const server = new UploadServer();
  before(() => server.listen());
  after(() => server.close());

  const profile = (push: Partial<BackupPush>, changes: Partial<Profile["backup"]> = {}) =>
    profileWith(OLD, {
      backup: {
        ...{ everyHours: 2, keep: 3, ...changes },
        push: { url: `${server.url}/edge/`, recipient: EC.certificate, ...push },
      },
    });

  /** Applies a profile on a bare device with a real database in it. */
  const install = (wanted: Profile, secret: string): void => {
    const { device, sandbox } = get();
    device.wipe();
    device.push(OLD);
    sandbox.write(TRUST, server.certificate);
    for (const command of ["curl", "openssl"]) sandbox.write(`/usr/local/bin/${command}`, recording(command));
    device.sh("chmod 755 /usr/local/bin/curl /usr/local/bin/openssl; rm -f /tmp/arguments");
    apply(wanted, secret);
    device.sh(`rm -f ${DATA}/db/state.db
      sqlite3 ${DATA}/db/state.db 'pragma journal_mode=wal; create table kine (id integer primary key, value); insert into kine (value) values (randomblob(200000))' >/dev/null
      echo '${TOKEN}' >${DATA}/token`);
    server.uploads.length = 0;
    server.status = 201;
    server.headers = {};
  };

  const apply = (wanted: Profile, secret: string, expected = "applied"): void => {
    const text = payloadText(renderPayload(wanted, LOCK, { secrets: { backups: secret } }));
    const { result, reason } = get().device.applyText(text);
    assert.equal(result, expected, reason);
  };

  /** One run of the timer; returns the log. */
  const maintain = async (environment = `CURL_CA_BUNDLE=${TRUST}`): Promise<string> => {
    const { sandbox } = get();
    const { code, stdout, stderr } = await sandbox.start(`${environment} ${PROGRAM_PATH} maintain`, "");
    assert.deepEqual([code, stdout, stderr], [0, "", ""]);
    return sandbox.run("cat /var/log/edge-fleet/apply.log").stdout;
  };

  const anotherCopy = () => get().device.sh(`touch -d @$(($(date +%s) - 3 * 3600)) ${BACKUPS}/*Z; sleep 1.1`);
  const names = () => get().device.sh(`cd ${BACKUPS} && ls -d *Z`).split("\n");
  const assertSilent = (secret: string): void => {
    const { device } = get();
    const words = `cat /tmp/arguments /var/log/edge-fleet/apply.log ${BACKUPS}/unsent /var/lib/edge-fleet/settings 2>/dev/null || :`;
    assert.ok(!device.sh(words).includes(secret), "no argument and no log holds the secret");
    assert.match(device.sh("grep -c '/curl -q ' /tmp/arguments"), /^[1-9]/);
  };

  for (const [what, push, secret, header] of [
    ["a user and a password", { username: "edge", passwordSecret: "backups" }, PASSWORD, basic("edge", PASSWORD)],
    ["a bearer token", { passwordSecret: "backups" }, "abc.DEF_123-~/+==", "Bearer abc.DEF_123-~/+=="],
    ["nothing", { recipient: RSA.certificate }, "", undefined],
  ] as const) {
    test(`a copy is sent with ${what}, and only the key of the recipient reads it`, async () => {
      const { device } = get();
      install(profile(push), secret);
      const log = await maintain();
      const [name = ""] = names();
      const [upload, ...more] = server.uploads;
      assert.ok(upload, log);
      assert.equal(more.length, 0);
      assert.deepEqual(
        [upload.method, upload.path, upload.headers.authorization],
        ["PUT", `/edge/tokyo/edge-0001/${name}.tar.gz.cms`, header],
      );
      assert.ok(!upload.body.includes(TOKEN));
      const key = push.passwordSecret === undefined ? RSA.key : EC.key;
      assert.deepEqual(contents(decrypt(upload.body, key)), {
        files: ["about", "db/state.db", "encryption-config.json", "encryption-state.json", "token"].map(
          (file) => `${name}/${file}`,
        ),
        integrity: "ok\n200000",
        token: `${TOKEN}\n`,
      });
      assert.equal(
        device.sh(`cd /etc/edge-fleet/backup; stat -c '%a %U %n' *; cat recipient.pem`),
        `600 root curl.conf\n644 root recipient.pem\n${(key === RSA.key ? RSA : EC).certificate.trim()}`,
      );
      assert.equal(device.sh(`find ${BACKUPS} ! -perm 600 ! -perm 700; cd ${BACKUPS}; ls`), `${name}\n${name}.sent`);
      if (secret !== "") assertSilent(secret);
      await maintain();
      assert.equal(server.uploads.length, 1, "it is sent once");
      device.assertTidy();
    });
  }

  test("for S3 the request and the sum of its body are signed, and the rate is bounded", async () => {
    const secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    const wanted = profile({ username: "AKIAEXAMPLE", passwordSecret: "backups", s3Region: "eu-central-1" });
    install({ ...wanted, artifacts: { ...wanted.artifacts, maxKiBPerSecond: 512 } }, secret);
    const log = await maintain();
    const [upload] = server.uploads;
    assert.ok(upload, log);
    assert.match(upload.headers.authorization ?? "", /Credential=AKIAEXAMPLE\/\d{8}\/eu-central-1\/s3\/aws4_request/);
    assert.deepEqual(signatureProblems(upload, secret), []);
    assert.match(get().device.sh("cat /tmp/arguments"), / --limit-rate 512k /);
    assert.deepEqual(signatureProblems(upload, "another"), ["the signature is wrong"]);
    assertSilent(secret);
  });

  test("what could not be sent waits, is encrypted once, and goes when the link is back, the newest first", async () => {
    const { device } = get();
    const wanted = profile({ username: "edge", passwordSecret: "backups" });
    install(wanted, PASSWORD);
    await server.close();
    const log = await maintain();
    assert.match(
      log,
      /backup: \d{8}T\d{6}Z was not sent: no connection to the server - it is tried again every hour\n/,
    );
    const encrypted = () => device.sh(`stat -c '%i %a %n' ${BACKUPS}/*.cms`);
    const first = encrypted();
    assert.match(first, /^\d+ 600 \S+\.cms$/);
    await maintain();
    assert.equal(encrypted(), first, "the file of the first attempt serves the second");
    for (let copies = 2; copies <= 5; copies++) {
      anotherCopy();
      await maintain();
      assert.equal(encrypted().split("\n").length, 1);
      assert.equal(names().length, Math.min(copies, 3));
    }
    assert.deepEqual(findings(get().sandbox, wanted), [
      "backup-unsent: copies that wait to be sent: 3; no connection to the server - it is tried again every hour",
    ]);
    await server.listen();
    server.uploads.length = 0;
    await maintain();
    assert.deepEqual(
      server.uploads.map(({ path }) => path.replace(/.*\/|\.tar.*/g, "")),
      names().reverse(),
    );
    for (const { body } of server.uploads) assert.equal(contents(decrypt(body, EC.key)).integrity, "ok\n200000");
    assert.equal(device.sh(`ls ${BACKUPS} | grep -Ev '^[0-9TZ]*(\\.sent)?$' || :`), "");
    assert.deepEqual(findings(get().sandbox, wanted), []);
    device.assertIs(wanted);
  });

  for (const [what, status, headers, reason] of [
    ["a refused log-in", 401, {}, /the server refuses the log-in \(401\) - correct backup\.push\.username/],
    ["a wrong folder", 404, {}, /takes no upload there \(404\) - correct backup\.push\.url/],
    ["a full server", 507, {}, /no room for the copy \(507\)/],
    ["a redirect", 307, { location: "/elsewhere" }, /redirects \(307\)/],
  ] as const) {
    test(`${what} is told with its reason and without the secret, and the log-in goes nowhere else`, async () => {
      const { device } = get();
      const wanted = profile({ username: "edge", passwordSecret: "backups" });
      install(wanted, PASSWORD);
      server.status = status;
      server.headers = headers;
      const log = await maintain();
      assert.match(log, reason);
      assert.ok(server.uploads.every(({ path }) => path.startsWith("/edge/tokyo/")));
      assert.match(findings(get().sandbox, wanted).join(), reason);
      assertSilent(PASSWORD);
      assert.equal(device.sh("k3s kubectl get --raw=/readyz"), "ok");
    });
  }

  test("a server that is not trusted gets no log-in", async () => {
    install(profile({ username: "edge", passwordSecret: "backups" }), PASSWORD);
    assert.match(await maintain("CURL_CA_BUNDLE=/dev/null"), /its certificate is not trusted - add its CA/);
    assert.equal(server.uploads.length, 0);
  });

  test("another place, password or recipient holds without a restart, and so does no place", async () => {
    const { device } = get();
    install(profile({ username: "edge", passwordSecret: "backups" }), "first");
    const pid = device.pid();
    await maintain();
    apply(profile({ username: "edge", passwordSecret: "backups" }), "second");
    apply(profile({ username: "edge", passwordSecret: "backups", url: `${server.url}/moved` }), "second", "unchanged");
    await maintain();
    assert.deepEqual(
      server.uploads.map(({ path, headers }) => [path.split("/")[1], headers.authorization]),
      [
        ["edge", basic("edge", "first")],
        ["moved", basic("edge", "second")],
      ],
    );
    apply(profile({ recipient: RSA.certificate, url: `${server.url}/again` }), "");
    await maintain();
    assert.equal(contents(decrypt(server.uploads[2]?.body ?? Buffer.of(), RSA.key)).integrity, "ok\n200000");
    apply(profileWith(OLD, { backup: { everyHours: 2, keep: 3, push: undefined } }), "");
    await maintain();
    assert.equal(device.sh(`ls /etc/edge-fleet/backup; ls ${BACKUPS} | grep -v 'Z$' || :`), "");
    assert.equal(server.uploads.length, 3);
    assert.equal(device.pid(), pid, "the service was never restarted");
  });

  test("a device that is not well still sends what it has, and an interval is renewed without a run", async () => {
    const { device } = get();
    install(profile({}), "");
    await server.close();
    await maintain();
    await server.listen();
    device.sh("systemctl stop k3s");
    assert.match(await maintain(), /maintain: k3s does not run\n(.*\n)*backup: \S+ was sent\n/);
    assert.equal(server.uploads.length, 1);
    device.sh("systemctl start k3s");
    await device.settle();
    apply(profile({}, { everyHours: 7 }), "", "unchanged");
    assert.equal(device.sh("grep BACKUP_HOURS /var/lib/edge-fleet/settings"), "set BACKUP_HOURS 7");
    device.assertTidy();
  });

  test("a device without the tools is not applied, and one on the way out keeps nothing", () => {
    const { device, sandbox } = get();
    install(profile({ passwordSecret: "backups" }), "token");
    sandbox.run("rm /usr/local/bin/openssl /usr/local/bin/curl; mv /usr/bin/openssl /usr/bin/openssl.away");
    const text = payloadText(renderPayload(profile({}), LOCK));
    const { result, reason } = device.applyText(text);
    sandbox.run("mv /usr/bin/openssl.away /usr/bin/openssl");
    assert.equal(result, "failed");
    assert.match(reason, /backup-tools: missing: openssl, with which copies are encrypted and sent - install/);
    device.sh(`${PROGRAM_PATH} remove edge-0001 >/dev/null; ! ls -d /etc/edge-fleet /var/lib/edge-fleet 2>/dev/null`);
    device.installProgram();
  });
});

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** Findings about copies, asked as `edge-fleet doctor` asks. */
function findings(sandbox: Sandbox, profile: Profile): string[] {
  const { script, stdin } = examinationScript(
    { profile, lock: LOCK, allowReboot: false },
    Math.round(Date.now() / 1000),
  );
  const { code, stdout, stderr } = sandbox.run(`/bin/sh -c '${script}'`, stdin);
  assert.deepEqual([code, stderr], [0, ""]);
  const all = (JSON.parse(stdout) as { findings: { id: string; text: string }[] }).findings;
  return all.filter(({ id }) => id.startsWith("backup-")).map(({ id, text }) => `${id}: ${text}`);
}

/** What is in a copy's archive. */
function contents(archive: Uint8Array): { files: string[]; integrity: string; token: string } {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-copy-"));
  try {
    assert.equal(spawnSync("tar", ["-xzf", "-", "-C", folder], { input: archive }).status, 0);
    const files = spawnSync("find", [".", "-type", "f"], { cwd: folder, encoding: "utf8" }).stdout.trim().split("\n");
    const [copy = ""] = (files[0] ?? "").replace("./", "").split("/");
    const query = "pragma integrity_check; select length(value) from kine";
    const { stdout } = spawnSync("sqlite3", [join(folder, copy, "db/state.db"), query], { encoding: "utf8" });
    const token = readFileSync(join(folder, copy, "token"), "utf8");
    return { files: files.map((file) => file.slice(2)).sort(), integrity: stdout.trim(), token };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
