/**
 * The device program on devices whose clock is wrong: 1970, 2099, and the hours in between that no fixed bound can see, which
 * the server of a download tells. A cluster must not be started for the first time by such a clock.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, type RequestListener } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import type { ArtifactsLock, Profile } from "../../components/inventory/index.ts";
import { ARTIFACT_STORE } from "../../components/plan/artifact.ts";
import { renderPayload } from "../../components/plan/payload.ts";
import { pack } from "../lab/standins/apply-device.ts";
import { countFaults } from "../lab/faults.ts";
import { Device, LOCK, lockFor, NEW, OLD, profileWith, RELEASES, readOutcome } from "../lab/standins/apply-device.ts";
import { CLOCKED, setClock } from "../lab/standins/clock.ts";
import { Sandbox, type SandboxShell } from "../lab/standins/sandbox.ts";
import { temporaryDirectory } from "../unit/cli/inventory.ts";
import { ARTIFACTS } from "../unit/device/profile.ts";

const HOUR = 3600;
const DAY = 24 * HOUR;
/** Of the HTTPS server. A name, since busybox compares certificates with nothing else. */
const HOST = "mirror.example";
const faults = countFaults();
const old = profileWith(OLD);
const fetching = (profile: Profile): Profile => ({
  ...profile,
  artifacts: { ...ARTIFACTS, delivery: "fetch", mirror: undefined },
});
const seconds = (): number => Math.round(Date.now() / 1000);

/** What a server tells beside the file. */
interface Origin {
  /** Seconds that its clock is ahead. */
  readonly shift?: number;
  /** Header `Date` as it is, instead of the clock's; null: none. */
  readonly date?: string | null;
  /** Header `Age` of a cache. */
  readonly age?: number;
  /** Days from now from which and until which its certificate is valid; absent: plain HTTP. */
  readonly certificate?: readonly [number, number];
}

/** Serves all releases. @returns the lock that names it, and the requests so far as `METHOD` */
async function serve(context: TestContext, sandbox: Sandbox, origin: Origin = {}) {
  const requests: string[] = [];
  const listener: RequestListener = ({ method, url = "" }, response) => {
    requests.push(method ?? "");
    response.sendDate = false;
    const { shift = 0, date = new Date(Date.now() + shift * 1000).toUTCString(), age } = origin;
    if (date !== null) response.setHeader("Date", date);
    if (age !== undefined) response.setHeader("Age", age);
    response.end(RELEASES[decodeURIComponent(url.split("/")[1] ?? "")]);
  };
  const { certificate } = origin;
  const server =
    certificate === undefined
      ? createHttpServer(listener)
      : createHttpsServer(issue(context, sandbox, certificate), listener);
  server.listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  context.after(() => server.close());
  const base = certificate === undefined ? "http://127.0.0.1" : `https://${HOST}`;
  return { lock: lockFor(`${base}:${(server.address() as AddressInfo).port}`), requests };
}

/** A certificate for {@link HOST} by an authority that the device trusts. */
function issue(context: TestContext, sandbox: Sandbox, [from, to]: readonly [number, number]) {
  const cwd = temporaryDirectory(context);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=lab", "-days", "3650");
  openssl("req", ...key, "-keyout", "key", "-out", "csr", "-subj", `/CN=${HOST}`);
  execFileSync("sh", ["-c", `echo subjectAltName=DNS:${HOST} >extensions; mkdir new; : >index`], { cwd });
  const date = (days: number): string =>
    new Date(Date.now() + days * DAY * 1000).toISOString().replace(/[-:T]|\.\d+/g, "");
  const policy =
    "[ca]\ndefault_ca=d\n[d]\ndatabase=index\nnew_certs_dir=new\nserial=serial\npolicy=p\n[p]\ncommonName=supplied\n";
  execFileSync("sh", ["-c", 'printf %s "$1" >config', "sh", policy], { cwd });
  const dates = ["-startdate", date(from), "-enddate", date(to)];
  const files = ["-cert", "ca.crt", "-keyfile", "ca.key", "-extfile", "extensions", "-in", "csr", "-out", "crt"];
  openssl("ca", "-batch", "-config", "config", "-md", "sha256", "-rand_serial", "-notext", ...files, ...dates);
  const read = (name: string): string => readFileSync(join(cwd, name), "utf8");
  sandbox.write("/etc/hosts", `127.0.0.1 ${HOST}\n`);
  sandbox.write("/etc/ssl/certs/ca-certificates.crt", read("ca.crt"));
  sandbox.run(
    "cd /etc/ssl/certs; cp ca-certificates.crt $(openssl x509 -noout -subject_hash -in ca-certificates.crt).0",
  );
  return { key: read("key"), cert: read("crt") };
}

for (const shell of ["dash", "busybox"] satisfies SandboxShell[]) {
  describe(`clock under ${shell}`, () => {
    let sandbox: Sandbox;
    let device: Device;

    before(async () => {
      sandbox = await Sandbox.start(shell);
      device = new Device(sandbox);
      device.installProgram(CLOCKED);
    });
    after(() => sandbox.stop());

    const start = (profile: Profile, lock: ArtifactsLock = LOCK) => {
      const { create, stdin } = pack(renderPayload(profile, lock));
      return sandbox.start(create, stdin).then(readOutcome);
    };
    /** Clocks and tools as they were, nothing installed. */
    const bare = (): void => {
      device.wipe();
      setClock(sandbox, 0);
      sandbox.run("rm -rf /run/systemd/timesync");
    };
    const assertNotStarted = (): void => {
      device.sh("! test -e /usr/local/bin/k3s; ! test -e /var/lib/rancher/k3s");
      device.assertTidy();
    };
    const running = async (): Promise<void> => {
      bare();
      device.push(OLD);
      assert.equal((await start(old)).result, "applied");
      device.sh("mkdir -p /var/lib/rancher/k3s/server/tls");
    };
    const log = (): string => device.sh("cat /var/log/edge-fleet/apply.log");

    for (const [year, at] of [
      ["1970", DAY],
      ["2025", 1_760_000_000],
      ["2099", 4_080_000_000],
    ] as const) {
      test(`a device whose clock says ${year} is not started for the first time, whatever it would be`, () =>
        faults.survive("wrong clock", async () => {
          bare();
          device.push(OLD);
          setClock(sandbox, at - seconds());
          const { result, reason } = await start(old);
          assert.equal(result, "failed");
          assert.match(reason, new RegExp(`^clock: .*${year}-.* - set `));
          assertNotStarted();
          setClock(sandbox, 0);
          assert.equal((await start(old)).result, "applied");
          device.assertIs(old);
        }));
    }

    test("a device whose clock is set while preflight waits for the time service is started", async () => {
      bare();
      device.push(OLD);
      device.sh("mkdir -p /run/systemd/timesync");
      setClock(sandbox, DAY - seconds());
      const run = start(old);
      await new Promise((resolve) => setTimeout(resolve, 2500));
      setClock(sandbox, 0);
      device.sh(": >/run/systemd/timesync/synchronized");
      assert.equal((await run).result, "applied");
      device.assertIs(old);
    });

    for (const tool of ["curl", "wget"] as const) {
      describe(`with ${tool}`, () => {
        before(() => {
          const busybox = shell === "busybox" ? "ln -sf /bin/busybox /usr/bin/wget" : ":";
          if (tool === "wget") device.sh(`mv /usr/bin/curl /usr/bin/hidden-curl; ${busybox}`);
        });

        for (const shift of [-HOUR, 90 * DAY]) {
          test(`a clock that is ${shift} s away from the server's stops a first install before anything comes`, (context) =>
            faults.survive("wrong clock", async () => {
              bare();
              const { lock, requests } = await serve(context, sandbox);
              setClock(sandbox, shift);
              const { result, reason } = await start(fetching(old), lock);
              assert.equal(result, "failed");
              const [, device_ = "", server = ""] =
                /^clock: the clock says (\S+Z), 127\.0\.0\.1:\d+ (\S+Z): .* - set it \(timedatectl set-time, date -s, or /.exec(
                  reason,
                ) ?? [];
              assert.ok(Math.abs(Date.parse(device_) - Date.parse(server) - shift * 1000) <= 5000, reason);
              assert.ok(Math.abs(Date.parse(server) - Date.now()) < 60_000, reason);
              assert.deepEqual([requests.length, device.sh(`ls ${ARTIFACT_STORE}`)], [1, ""]);
              assertNotStarted();
              setClock(sandbox, 0);
              assert.equal((await start(fetching(old), lock)).result, "applied");
              device.assertIs(fetching(old));
            }));
        }

        const harmless: readonly (readonly [string, number, Origin])[] = [
          ["five minutes behind", -300, {}],
          ["an hour ahead of what a cache tells of its copy", 0, { shift: -HOUR, age: HOUR }],
          ["an hour behind while the server tells no time", -HOUR, { date: null }],
          ["an hour behind while the server tells nonsense", -HOUR, { date: "yesterday, 25 Foo 26 at noon GMT" }],
        ];
        for (const [what, shift, origin] of harmless) {
          test(`a clock that is ${what} stops nothing`, async (context) => {
            bare();
            const { lock } = await serve(context, sandbox, origin);
            setClock(sandbox, shift);
            assert.equal((await start(fetching(old), lock)).result, "applied");
            device.assertIs(fetching(old));
          });
        }

        test("a first install from artifacts that are there already is compared too", async (context) => {
          bare();
          device.push(OLD);
          const { lock } = await serve(context, sandbox);
          setClock(sandbox, HOUR);
          assert.match((await start(fetching(old), lock)).reason, /^clock: the clock says /);
          assertNotStarted();
        });

        test("a device that runs a cluster gets a warning in its log, and the new release", async (context) => {
          await running();
          const { lock } = await serve(context, sandbox);
          setClock(sandbox, -HOUR);
          const next = fetching(profileWith(NEW));
          assert.equal((await start(next, lock)).result, "applied");
          device.assertIs(next);
          assert.match(log(), /^warning: clock: the clock says \S+Z, 127\.0\.0\.1:\d+ \S+Z: /m);
        });

        test("a first install waits for the time service before it is refused", async (context) => {
          bare();
          device.sh("mkdir -p /run/systemd/timesync");
          const { lock } = await serve(context, sandbox);
          setClock(sandbox, -HOUR);
          const run = start(fetching(old), lock);
          await new Promise((resolve) => setTimeout(resolve, 2500));
          setClock(sandbox, 0);
          device.sh(": >/run/systemd/timesync/synchronized");
          assert.equal((await run).result, "applied");
          device.assertIs(fetching(old));
        });

        for (const [what, certificate] of [
          ["is yet to begin", [1, 30]],
          ["has ended", [-30, -1]],
        ] as const) {
          test(`a certificate that ${what} by a clock that is off is told as the clock's fault`, (context) =>
            faults.survive("wrong clock", async () => {
              await running();
              const next = fetching(profileWith(NEW));
              const silent = await serve(context, sandbox, { certificate, date: null });
              const { result, reason } = await start(next, silent.lock);
              assert.equal(result, "failed");
              assert.match(
                reason,
                /^clock: the certificate of mirror\.example:\d+ has ended, .* says \S+Z - set it .*/,
              );
              const telling = await serve(context, sandbox, { certificate, shift: certificate[0] > 0 ? DAY : -DAY });
              assert.match(
                (await start(next, telling.lock)).reason,
                /^clock: the clock says \S+Z, mirror\.example:\d+ /,
              );
              bare();
              assert.match(
                (await start(next, telling.lock)).reason,
                /^clock: the clock says \S+Z, mirror\.example:\d+ /,
              );
              assertNotStarted();
              const right = await serve(context, sandbox, { certificate: [-1, 1] });
              assert.equal((await start(next, right.lock)).result, "applied");
              device.assertIs(next);
            }));
        }

        test("a certificate that has ended by a clock that is right is told as the server's fault", async (context) => {
          bare();
          const { lock } = await serve(context, sandbox, { certificate: [-30, -1] });
          const { reason } = await start(fetching(old), lock);
          assert.match(reason, /^certificate: that of mirror\.example:\d+ has ended, .* - renew it on the server/);
        });

        test("a server that does not answer is no matter of the clock", async () => {
          bare();
          const { reason } = await start(fetching(old), lockFor("https://127.0.0.1:9"));
          assert.match(reason, /^download: .* - check the network or the mirror/);
        });
      });
    }
  });
}
