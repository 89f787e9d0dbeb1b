/**
 * What K3s keeps of a cluster beside its settings: the bootstrap data of its datastore, which must agree with the files on the
 * disk. Each failure was seen with a real K3s; the stand-in says where upstream's code has it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { BROKEN, LOCK, NEW, OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";
import { AWAIT_API, installUpstream } from "../lab/standins/upstream-k3s.ts";

const SERVER = "/var/lib/rancher/k3s/server";
const LAN = { network: { ...profileWith(OLD).network, shape: "lan" } } as const;
const old = profileWith(OLD, LAN);
const TOKEN = "0123456789abcdef0123456789abcdef";
const joined = { joined: true, secrets: { "token-edge-0001": TOKEN } };

underEachShell("a server that others join", (get) => {
  const restarted = () =>
    get().device.sh(`systemctl restart k3s; n=0
      until [ "$(k3s kubectl get --raw=/readyz 2>/dev/null)" = ok ] || [ $n = 150 ]; do n=$((n + 1)); sleep 0.2; done
      k3s kubectl get --raw=/readyz`);
  const agentPassword = () => get().device.sh(`sed -n 's/,node,node,.*//p' ${SERVER}/cred/passwd`);

  test("comes up at every start after the first device joins, changes its token and leaves again", () => {
    const { device } = get();
    device.install(old);
    const own = agentPassword();
    // K3s takes a file for newer than its datastore from a difference of three seconds on.
    device.sh("sleep 3");
    assert.equal(device.apply(old, LOCK, joined).result, "applied");
    assert.equal(agentPassword(), TOKEN);
    for (let restarts = 0; restarts < 3; restarts++) assert.equal(restarted(), "ok");
    const changed = { ...joined, secrets: { "token-edge-0001": `${TOKEN}0` } };
    assert.equal(device.apply(old, LOCK, changed).result, "applied");
    assert.equal(restarted(), "ok");
    device.push(NEW);
    assert.equal(device.apply(profileWith(NEW, LAN), LOCK, changed).result, "applied");
    assert.equal(device.apply(profileWith(NEW, LAN)).result, "applied");
    assert.equal(restarted(), "ok");
    assert.equal(agentPassword(), own, "the nodes' password is the server's again");
    device.assertIs(profileWith(NEW, LAN));
  });

  test("is rolled back to what it was before the first device joined", () => {
    const { device } = get();
    device.install(old);
    device.push(BROKEN);
    device.sh("sleep 3");
    const { result, reason } = device.apply(
      profileWith(BROKEN, { ...LAN, readiness: { timeoutSeconds: 2 } }),
      LOCK,
      joined,
    );
    assert.equal(result, "rolled-back", reason);
    assert.match(reason, /back on the previous state$/);
    device.assertIs(old);
    assert.equal(restarted(), "ok");
  });

  test("comes up with an authority that a power cut left half written", () => {
    const { device } = get();
    device.install(old);
    const authority = device.sh(`cat ${SERVER}/tls/server-ca.crt`);
    device.sh(`sleep 3; systemctl stop k3s; printf half >${SERVER}/tls/server-ca.crt`);
    assert.equal(restarted(), "ok");
    assert.equal(device.sh(`cat ${SERVER}/tls/server-ca.crt`), authority);
  });

  test("keeps its password where the first start was cut off before it was told", () => {
    const { device } = get();
    device.install(old);
    const own = agentPassword();
    device.sh(`systemctl stop k3s; rm ${SERVER}/token`);
    assert.equal(device.sh("systemctl start k3s; sleep 5; k3s kubectl get --raw=/readyz"), "ok");
    assert.equal(agentPassword(), own);
  });
});

underEachShell("copies of K3s", (get) => {
  const BACKUPS = "/var/lib/edge-fleet/backups";
  const secrets = () => get().device.sh("k3s kubectl get secrets | cut -d ' ' -f 2 | paste -s -d ' ' -");
  const createSecret = (name: string) => get().device.sh(`k3s kubectl create secret generic ${name}`);
  const restore = (argument = "", file = "/dev/null") =>
    JSON.parse(get().sandbox.run(`${PROGRAM_PATH} restore ${argument} <${file}`).stdout) as Record<string, string>;

  test("from before the key of the Secrets or an authority was changed come back on their own device", () => {
    const { device } = get();
    device.install(old);
    const authority = device.sh(`cat ${SERVER}/tls/server-ca.crt`);
    createSecret("before");
    device.sh(
      `${PROGRAM_PATH} maintain; sleep 3; echo 'authority new' >${SERVER}/tls/server-ca.crt; k3s secrets-encrypt rotate-keys`,
    );
    createSecret("after");
    const { result, reason = "" } = restore();
    assert.equal(result, "restored", reason);
    assert.equal(secrets(), "before");
    assert.equal(device.sh(`cat ${SERVER}/tls/server-ca.crt`), authority);
    assert.equal(device.sh("systemctl restart k3s; sleep 5; k3s kubectl get --raw=/readyz"), "ok");
  });

  test("of a cluster that was taken over come back on new hardware, with the key that its bootstrap data lacks", () => {
    const { device, sandbox } = get();
    installUpstream(device, { flags: ["--node-name=edge-0001"] });
    device.sh(AWAIT_API);
    createSecret("mine");
    device.push(OLD);
    assert.equal(device.apply(old).result, "applied");
    createSecret("later");
    device.sh(`${PROGRAM_PATH} maintain; tar -czf /run/sent.tar.gz -C ${BACKUPS} $(cd ${BACKUPS} && ls -d *Z)`);
    device.install(old);
    const { result, reason = "" } = restore("-", "/run/sent.tar.gz");
    assert.equal(result, "restored", reason);
    assert.equal(secrets(), "mine later");
    assert.equal(sandbox.run(`find ${BACKUPS} -type f -perm /077`).stdout, "");
    device.assertIs(old);
  });
});

underEachShell("a first install of K3s", (get) => {
  const cidr = (profile = old) => ({ ...profile, k3s: { ...profile.k3s, clusterCidr: "10.52.0.0/16" } });
  const failing = cidr(profileWith(BROKEN, { ...LAN, readiness: { timeoutSeconds: 1 } }));
  const traces = () =>
    get().device.sh("ls -d /etc/rancher /var/lib/rancher /usr/local/bin/k3s /etc/systemd/system/k3s* 2>/dev/null || :");

  test("that fails locks nothing in: the next one starts with any network", () => {
    const { device } = get();
    device.wipe();
    device.push(BROKEN);
    device.push(OLD);
    assert.match(device.apply(failing).reason, /removed with its data, nothing was there before$/);
    assert.equal(traces(), "");
    assert.equal(device.apply(cidr()).result, "applied");
    device.assertIs(cidr());
  });

  for (const point of ["gate", "rollback"]) {
    test(`that is killed at ${point} is removed with its data, by the next run that fails or by a removal`, () => {
      const { device, sandbox } = get();
      for (const end of ["run", "removal"]) {
        device.wipe();
        device.installProgram();
        device.push(BROKEN);
        device.killAt(point);
        assert.match(device.apply(failing).reason, /^interrupted: /);
        device.killAt("");
        device.sh("test -d /var/lib/rancher/k3s/server/tls");
        if (end === "run") assert.match(device.apply(failing).reason, /removed with its data/);
        else assert.match(sandbox.run(`${PROGRAM_PATH} remove edge-0001`).stdout, /"result":"removed"/);
        assert.equal(traces(), "", end);
      }
      device.installProgram();
    });
  }

  test("that fails over data of a cluster of before keeps them", () => {
    const { device } = get();
    device.install(old);
    device.sh(
      "systemctl stop k3s; rm -rf /var/lib/edge-fleet /usr/local/bin/k3s /etc/systemd/system/k3s.service; systemctl daemon-reload",
    );
    const database = device.sh(`cat ${SERVER}/db/state.db`);
    device.push(BROKEN);
    const { reason } = device.apply(profileWith(BROKEN, { ...LAN, readiness: { timeoutSeconds: 1 } }));
    assert.match(
      reason,
      /; stopped and its files removed, since nothing ran before; the data that was there is kept - run again/,
    );
    assert.equal(device.sh(`cat ${SERVER}/db/state.db`), database);
  });
});

underEachShell("a device that joins another", (get) => {
  const agent = profileWith(OLD, { ...LAN, joins: "edge-0002", readiness: { timeoutSeconds: 4 } });
  const context = { server: { host: "10.0.0.2" }, secrets: { "token-edge-0002": TOKEN } };
  const SITE = "/var/lib/standin-k3s-site";
  const wiped = (): void => {
    const { device, sandbox } = get();
    device.wipe();
    device.installProgram();
    device.push(OLD);
    assert.equal(device.apply(agent, LOCK, context).result, "applied");
    assert.match(sandbox.run(`${PROGRAM_PATH} remove edge-0001`).stdout, /"result":"removed"/);
    device.sh("! ls -d /etc/rancher /var/lib/rancher 2>/dev/null");
    device.installProgram();
    device.push(OLD);
  };

  test("as new hardware under an id that its server knows is told so, with what helps", () => {
    const { device } = get();
    wiped();
    const { result, reason } = device.apply(agent, LOCK, context);
    assert.equal(result, "rolled-back");
    assert.match(
      reason,
      /^not-ready: the API is not ready after 4 s; k3s-agent says: Node password rejected, duplicate hostname [^;]* - its server knows edge-0001 as other hardware: run there k3s kubectl delete node edge-0001; removed with its data/,
    );
  });

  test("comes back after its server was told that it left", () => {
    const { device } = get();
    wiped();
    device.sh(`rm -r ${SITE}/edge-0001`);
    const { result, reason } = device.apply(agent, LOCK, context);
    assert.equal(result, "applied", reason);
  });

  test("and leaves it is forgotten by its server, which keeps every other node", () => {
    const { device } = get();
    device.install(old);
    const site = () => device.sh(`ls ${SITE} | paste -s -d ' ' -`);
    device.sh(`mkdir -p ${SITE}/edge-0002 ${SITE}/edge-0003 ${SITE}/foreign`);
    assert.equal(device.apply(old, LOCK, { ...joined, agents: ["edge-0002", "edge-0003"] }).result, "applied");
    const pid = device.pid();
    assert.equal(device.apply(old, LOCK, { ...joined, agents: ["edge-0003"] }).result, "unchanged");
    assert.equal(site(), "edge-0003 foreign");
    assert.equal(device.pid(), pid);
    assert.equal(device.apply(old).result, "applied");
    assert.equal(site(), "foreign");
  });
});
