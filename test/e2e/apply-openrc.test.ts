/**
 * The device program on a device with OpenRC, in a throw-away root with stand-ins for OpenRC and K3s, under dash and under
 * busybox ash.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { parseDeviceAnswer } from "../../components/device/result.ts";
import type { Profile } from "../../components/inventory/types.ts";
import { payloadText, renderPayload } from "../../components/plan/payload.ts";
import {
  BROKEN,
  CRASHING,
  flannel,
  LOCK,
  MIGRATING,
  NEW,
  OLD,
  profileWith,
  removeCommand,
  sha256,
  underEachShellAs,
} from "../lab/standins/apply-device.ts";
import { OpenrcDevice, openrcProfile } from "../lab/standins/openrc-device.ts";
import { k0sStandin } from "../lab/standins/others.ts";

const K0S_OLD = "v1.36.3+k0s.2";
const K0S_NEW = "v1.36.4+k0s.0";
const K0S_LOCK = {
  k0s: Object.fromEntries(
    [K0S_OLD, K0S_NEW].map((version) => {
      const text = k0sStandin(version);
      const file = { url: "http://127.0.0.1:9/k0s", sha256: sha256(text), size: text.length };
      return [version, { amd64: file, arm64: file }];
    }),
  ),
};
const old = openrcProfile();
const next = flannel(openrcProfile(NEW), "vxlan");

const SETTINGS = "/var/lib/edge-fleet/settings";

/** What edge-fleet or K3s has put anywhere. */
const leftovers = (device: OpenrcDevice): string =>
  device.sh(`ls -d /etc/rancher /var/lib/rancher /run/k3s /usr/local/bin/k3s /etc/init.d/k3s* /etc/init.d/edge-fleet* \\
    /etc/runlevels/default/k3s* /etc/runlevels/default/edge-fleet* /etc/periodic/hourly/* /etc/sysctl.d/90-edge-fleet.conf \\
    /etc/modules-load.d/90-edge-fleet.conf /var/lib/edge-fleet /var/log/edge-fleet /var/log/k3s.log ${PROGRAM_PATH} \\
    /run/edge-fleet.* /etc/systemd/system/edge-fleet* 2>/dev/null || :`);

underEachShellAs(OpenrcDevice, "OpenRC", (get) => {
  test("a bare device is installed as a supervised service that starts at boot", () => {
    const { device } = get();
    device.install(old);
    device.assertIs(old);
    const modes = device.sh(`stat -c '%a %U %n' /etc/init.d/* /etc/periodic/hourly/* /var/log/k3s.log /etc/rancher/k3s
      for link in /etc/runlevels/default/*; do readlink $link; done; head -qn 1 /etc/init.d/* /etc/periodic/hourly/*
      ls /etc/systemd/system/edge-fleet* /etc/systemd/system/k3s* /etc/systemd/journald.conf.d 2>/dev/null || :`);
    assert.deepEqual(modes.split("\n"), [
      "755 root /etc/init.d/edge-fleet-recover",
      "755 root /etc/init.d/k3s",
      "755 root /etc/periodic/hourly/edge-fleet-maintain",
      "600 root /var/log/k3s.log",
      "700 root /etc/rancher/k3s",
      "/etc/init.d/edge-fleet-recover",
      "/etc/init.d/k3s",
      "#!/sbin/openrc-run",
      "#!/sbin/openrc-run",
      "#!/bin/sh",
    ]);
  });

  test("a second run changes nothing and restarts nothing", () => {
    const { device } = get();
    device.install(old);
    const pid = device.pid();
    const { result, reason } = device.apply(old);
    assert.deepEqual([result, reason, device.pid()], ["unchanged", "", pid]);
  });

  test("a changed setting restarts the service once, and a changed ring does not", () => {
    const { device } = get();
    device.install(old);
    const pid = device.pid();
    const changed = flannel(old, "vxlan");
    assert.equal(device.apply(changed).result, "applied");
    device.assertIs(changed);
    const restarted = device.pid();
    assert.notEqual(restarted, pid);
    assert.equal(device.apply({ ...changed, ring: "broad" }).result, "applied");
    assert.equal(device.pid(), restarted);
  });

  test("a service that is stopped, has crashed, or has lost its supervisor, is brought back as one process", () => {
    const { device } = get();
    device.install(old);
    for (const harm of [
      "rc-service k3s stop",
      'kill -9 "$(cat /run/openrc/options/k3s/child_pid)" "$(cat /run/k3s.pid)"',
      'kill -9 "$(cat /run/k3s.pid)"',
    ]) {
      device.sh(harm);
      assert.equal(device.apply(old).result, "applied", harm);
      device.assertIs(old);
    }
  });

  test("a crash is fixed by the supervisor, and until then the service does not count as running", () => {
    const { device } = get();
    device.install(old);
    const pid = device.pid();
    device.sh(`kill -9 ${pid}`);
    const asked = `sed '$d' ${PROGRAM_PATH} >/tmp/parts; echo 'openrc_main_pid k3s' >>/tmp/parts; sh /tmp/parts; rm /tmp/parts`;
    assert.equal(device.sh(asked), "0");
    device.sh(
      "n=0; until k3s kubectl get --raw=/readyz >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 100 ]; sleep 0.2; done",
    );
    assert.equal(device.sh(asked), device.pid());
    assert.notEqual(device.pid(), pid);
  });

  // install.sh of K3s, create_openrc_service_file and create_env_file, v1.33.0+k3s1 and v1.36.2+k3s1
  test("a K3s that install.sh has made is judged by its script and its variables", () => {
    const { device } = get();
    for (const [line, variable, reason] of [
      ["'--cluster-cidr=10.9.0.0/16'", "", /^fixed: cluster-cidr is 10\.9\.0\.0\/16 since the first start/],
      ["'--data-dir' \\\n\t'/srv/k3s'", "", /^foreign: k3s keeps its data in \/srv\/k3s/],
      ["'--debug'", "K3S_DATASTORE_ENDPOINT='mysql://x'", /^foreign: k3s uses a datastore-endpoint/],
    ] as const) {
      device.wipe();
      device.push(OLD);
      device.write(
        "/etc/init.d/k3s",
        `#!/sbin/openrc-run\ncommand="/usr/local/bin/k3s"\ncommand_args="server \\\n\t'--node-name' \\\n\t'edge-0001' \\\n\t${line} \\\n    >>/var/log/k3s.log 2>&1"\n\noutput_log=/var/log/k3s.log\n`,
      );
      device.write("/etc/rancher/k3s/k3s.env", `${variable}\n`);
      device.sh("chmod 755 /etc/init.d/k3s; mkdir -p /var/lib/rancher/k3s/server/tls");
      assert.match(device.apply(old).reason, reason);
    }
    device.wipe();
  });

  test("a new release replaces the old one, and a release that fails is rolled back with its datastore", () => {
    const { device } = get();
    device.install(old);
    for (const version of [BROKEN, CRASHING, MIGRATING]) {
      const database = device.sh("cat /var/lib/rancher/k3s/server/db/state.db");
      device.push(version);
      const { result, reason } = device.apply(openrcProfile(version, { readiness: { timeoutSeconds: 2 } }));
      assert.equal(result, "rolled-back", reason);
      const said = version === CRASHING ? "; k3s says: the stand-in was told to crash" : "";
      assert.match(reason, new RegExp(`^not-ready: .* after 2 s${said}; back on the previous state$`));
      device.assertIs(old);
      assert.equal(device.sh("cat /var/lib/rancher/k3s/server/db/state.db"), database);
    }
    device.push(NEW);
    assert.equal(device.apply(next).result, "applied");
    device.assertIs(next);
  });

  test("a first install that fails leaves nothing behind", () => {
    const { device } = get();
    device.wipe();
    device.push(BROKEN);
    const { result, reason } = device.apply(openrcProfile(BROKEN, { readiness: { timeoutSeconds: 1 } }));
    assert.equal(result, "rolled-back");
    assert.match(reason, /removed with its data, nothing was there before$/);
    assert.equal(
      device.sh(
        "ls -d /etc/init.d/k3s /etc/runlevels/default/k3s /usr/local/bin/k3s /var/lib/rancher 2>/dev/null || :",
      ),
      "",
    );
    assert.equal(device.servers(), 0);
  });

  test("a server that becomes an agent of another one ends, and leaves the runlevel", () => {
    const { device } = get();
    device.install(old);
    const lan = { ...old.network, shape: "lan" } as const;
    const agent = flannel({ ...old, joins: "edge-0002", network: lan }, "vxlan");
    const context = { server: { host: "10.0.0.1" }, secrets: { "token-edge-0002": "0123456789abcdef" } };
    const { result, reason } = device.applyText(payloadText(renderPayload(agent, LOCK, context)));
    assert.equal(result, "applied", reason);
    assert.deepEqual([device.pid("k3s"), device.servers()], ["0", 1]);
    assert.notEqual(device.pid("k3s-agent"), "0");
    assert.equal(device.sh("ls /etc/init.d /etc/runlevels/default | grep k3s"), "k3s-agent\nk3s-agent");
    device.sh(`${PROGRAM_PATH} remove edge-0001 >/dev/null`);
    assert.equal(device.servers(), 0);
    device.installProgram();
  });

  test("K0s is installed with its labels, changed, and removed", () => {
    const { device, sandbox } = get();
    device.wipe();
    const [base, other] = [K0S_OLD, K0S_NEW].map((version) => ({
      ...old,
      distribution: "k0s" as const,
      k0s: { ...old.k0s, version },
    }));
    assert.ok(base && other);
    for (const version of [K0S_OLD, K0S_NEW]) device.store(k0sStandin(version));
    const apply = (profile: Profile) => device.apply(profile, K0S_LOCK);
    assert.equal(apply(base).reason, "");
    const pid = device.pid("k0scontroller");
    assert.equal(apply(base).result, "unchanged");
    assert.equal(device.pid("k0scontroller"), pid);
    assert.match(device.sh("k0s kubectl get node edge-0001 -o labels"), /^edge-fleet\.dev\/ring=canary$/m);
    assert.equal(apply(other).result, "applied");
    assert.equal(device.sh("cat /run/standin-k0s/version"), K0S_NEW);
    assert.equal(device.servers(), 1);
    assert.equal(parseDeviceAnswer(sandbox.run(removeCommand(old.id)).stdout)?.result, "removed");
    assert.equal(
      device.sh("ls -d /etc/k0s /var/lib/k0s /etc/init.d/k0s* /etc/runlevels/default/* 2>/dev/null || :"),
      "",
    );
    device.installProgram();
  });

  test("the inventory must name the init that runs", () => {
    const { device } = get();
    device.install(old);
    const { result, reason } = device.apply(profileWith(old.k3s.version));
    assert.equal(result, "failed");
    assert.match(reason, /^init: OpenRC runs, the inventory says systemd - set init: openrc/);
    device.assertIs(old);
  });

  test("the cluster's log is bounded while it is written", () => {
    const { device } = get();
    device.install(old);
    device.sh("head -c 12000000 /dev/zero | tr '\\0' x >>/var/log/k3s.log; echo last >>/var/log/k3s.log");
    const [before, pid] = [device.sh("stat -c %i /var/log/k3s.log"), device.pid()];
    device.sh(`${PROGRAM_PATH} maintain`);
    assert.deepEqual(
      [device.sh("stat -c '%i %s' /var/log/k3s.log; tail -n 1 /var/log/k3s.log | tail -c 5"), device.pid()],
      [`${before} 2097152\nlast`, pid],
    );
  });

  test("hourly maintenance runs what the program has for it, in the background", () => {
    const { device } = get();
    const job = device.sh("cat /etc/periodic/hourly/edge-fleet-maintain");
    assert.match(job, new RegExp(`sleep \\d{1,3}\n  exec nice -n 10 ${PROGRAM_PATH} maintain\n`));
    device.install(old);
    device.sh(
      "rm -rf /var/lib/edge-fleet/backup*; sed 's/sleep [0-9]*$/sleep 0/' /etc/periodic/hourly/edge-fleet-maintain >/run/job; sh /run/job",
    );
    device.sh(
      "n=0; until ls -d /var/lib/edge-fleet/backup*/[0-9]*Z >/dev/null 2>&1; do n=$((n + 1)); [ $n -lt 100 ]; sleep 0.2; done",
    );
  });

  test("a device that is removed has nothing of edge-fleet or its cluster left, and takes a new start", () => {
    const { device, sandbox } = get();
    device.install(old);
    const { code, stdout, stderr } = sandbox.run(removeCommand(old.id));
    assert.equal(stderr, "");
    assert.deepEqual([code, parseDeviceAnswer(stdout)?.result], [0, "removed"]);
    assert.equal(leftovers(device), "");
    assert.equal(device.servers(), 0);
    device.installProgram();
    device.install(old);
    device.assertIs(old);
  });

  test("root's crontab gets the look at the windows, and the maintenance where no folder of hourly jobs is, and loses them", () => {
    const { device } = get();
    device.install(old);
    device.sh(`rm -rf /etc/periodic /etc/cron.hourly; mkdir -p /var/spool/cron/crontabs
      printf '#!/bin/sh\\ncase $1 in -l) cat /run/crontab ;; -) cat >/run/crontab ;; esac\\n' >/usr/local/bin/crontab; chmod 755 /usr/local/bin/crontab
      echo '5 4 * * * mine' | crontab -`);
    device.installProgram();
    device.installProgram();
    const [mine, maintain = "", window = "", ...more] = device.sh("crontab -l").split("\n");
    assert.deepEqual([mine, more], ["5 4 * * * mine", []]);
    assert.match(maintain, new RegExp(`^\\d+ \\* \\* \\* \\* ${PROGRAM_PATH} maintain$`));
    const [, condition = ""] =
      new RegExp(`^[0-4]-59/5 \\* \\* \\* \\* (/.*) && ${PROGRAM_PATH} window$`).exec(window) ?? [];
    assert.equal(
      device.sh(
        `${condition} || echo none; cp ${SETTINGS} /run/settings; echo 'set WINDOWS x' >>${SETTINGS}; ${condition} && echo some; mv /run/settings ${SETTINGS}`,
      ),
      "none\nsome",
    );
    device.sh(`${PROGRAM_PATH} remove ${old.id} >/dev/null`);
    assert.equal(device.sh("crontab -l; rm /usr/local/bin/crontab; mkdir -p /etc/periodic/hourly"), "5 4 * * * mine");
    device.installProgram();
  });
});
