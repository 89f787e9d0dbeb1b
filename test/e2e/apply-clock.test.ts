/**
 * The device program on devices whose clock is wrong: 1970, 2099, and the hours in between that no fixed bound can see, in
 * which the time service gets its time. A cluster must not be started for the first time by a clock that is wrong.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { RequestListener } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, type TestContext, test } from "node:test";
import type { ArtifactsLock, Profile } from "../../components/inventory/index.ts";
import { renderPayload } from "../../components/plan/payload.ts";
import { countFaults } from "../lab/faults.ts";
import {
  Device,
  LOCK,
  lockFor,
  NEW,
  OLD,
  pack,
  profileWith,
  RELEASES,
  readOutcome,
} from "../lab/standins/apply-device.ts";
import { CLOCKED, setClock } from "../lab/standins/clock.ts";
import { Sandbox, type SandboxShell } from "../lab/standins/sandbox.ts";
import { temporaryDirectory } from "../unit/cli/inventory.ts";
import { ARTIFACTS } from "../unit/device/profile.ts";

const DAY = 24 * 3600;
/** Of the HTTPS server. A name, since busybox compares certificates with nothing else. */
const HOST = "mirror.example";
const faults = countFaults();
const old = profileWith(OLD);
const fetching = (profile: Profile): Profile => ({
  ...profile,
  artifacts: { ...ARTIFACTS, delivery: "fetch", mirror: undefined },
});
const seconds = (): number => Math.round(Date.now() / 1000);

/** Serves all releases with a certificate that is valid between these days from now. @returns the lock that names it */
async function serve(context: TestContext, sandbox: Sandbox, certificate: readonly [number, number]) {
  const listener: RequestListener = ({ url = "" }, response) =>
    void response.end(RELEASES[decodeURIComponent(url.split("/")[1] ?? "")]);
  const server = createServer(issue(context, sandbox, certificate), listener).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  context.after(() => server.close());
  return lockFor(`https://${HOST}:${(server.address() as AddressInfo).port}`);
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
    const assertNothingStarted = (): string =>
      device.sh("! test -e /usr/local/bin/k3s; ! test -e /var/lib/rancher/k3s");
    const assertNotStarted = (): void => {
      assertNothingStarted();
      device.assertTidy();
    };
    const running = async (): Promise<void> => {
      bare();
      device.push(OLD);
      assert.equal((await start(old)).result, "applied");
      device.sh("mkdir -p /var/lib/rancher/k3s/server/tls");
    };
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

    test("a clock that nobody can see is wrong is still given to the time service before a first start", async () => {
      bare();
      device.push(OLD);
      device.sh("mkdir -p /run/systemd/timesync");
      const run = start(old);
      await new Promise((resolve) => setTimeout(resolve, 2500));
      assertNothingStarted();
      device.sh(": >/run/systemd/timesync/synchronized");
      assert.equal((await run).result, "applied");
      device.assertIs(old);
    });

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

        test("a download that fails by a wrong clock is told in the tool's words, with the clock", (context) =>
          faults.survive("wrong clock", async () => {
            await running();
            const next = fetching(profileWith(NEW));
            const early = await serve(context, sandbox, [1, 30]);
            const { result, reason } = await start(next, early);
            assert.equal(result, "failed");
            assert.match(
              reason,
              tool === "curl"
                ? /^download: https:\S+ failed \(curl: .* certificate is not yet valid.*\) by the clock \d{4}-\S+Z - check the network, /
                : /^download: https:\S+ failed \(.+\) by the clock \d{4}-\S+Z - check the network, the mirror and the clock, /,
            );
            device.assertIs(old);
            const right = await serve(context, sandbox, [-1, 1]);
            assert.equal((await start(next, right)).result, "applied");
            device.assertIs(next);
          }));

        test("a server that does not answer is told in the tool's words", async () => {
          bare();
          const { reason } = await start(fetching(old), lockFor("http://127.0.0.1:9"));
          assert.match(reason, /^download: http:\S+ failed \(.*(refused|connect).*\) by the clock /i);
          assertNotStarted();
        });
      });
    }
  });
}
