/**
 * What K3s keeps of a cluster beside its settings: the bootstrap data of its datastore, which must agree with the files on the
 * disk. Each failure was seen with a real K3s; the stand-in says where upstream's code has it.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { BROKEN, LOCK, NEW, OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";
import { installUpstream, type UpstreamOptions } from "../lab/standins/upstream-k3s.ts";

const SERVER = "/var/lib/rancher/k3s/server";
const LAN = { network: { ...profileWith(OLD).network, shape: "lan" } } as const;
const old = profileWith(OLD, LAN);
const TOKEN = "0123456789abcdef0123456789abcdef";
const joined = { joined: true, secrets: { "token-edge-0001": TOKEN } };

underEachShell("a server that others join", (get) => {
  const restarted = () => get().device.sh("systemctl restart k3s; sleep 1.2; k3s kubectl get --raw=/readyz");
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

  test("keeps its password where the first start was cut off before it was told", () => {
    const { device } = get();
    device.install(old);
    const own = agentPassword();
    device.sh(`systemctl stop k3s; rm ${SERVER}/token`);
    assert.equal(device.sh("systemctl start k3s; sleep 1.2; k3s kubectl get --raw=/readyz"), "ok");
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
    assert.equal(device.sh("systemctl restart k3s; sleep 1.2; k3s kubectl get --raw=/readyz"), "ok");
  });

  test("of a cluster that was taken over come back on new hardware, with the key that its bootstrap data lacks", () => {
    const { device, sandbox } = get();
    installUpstream(device, { flags: ["--node-name=edge-0001"] });
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
    assert.match(reason, /; removed, nothing ran before; the data that was there is kept$/);
    assert.equal(device.sh(`cat ${SERVER}/db/state.db`), database);
  });
});

underEachShell("a K3s that somebody else has installed", (get) => {
  const NAMED = ["--node-name", "edge-0001"];
  const refused = (options: UpstreamOptions, reason: RegExp, prepare = ":"): void => {
    const { device } = get();
    installUpstream(device, options);
    device.sh(prepare);
    device.push(OLD);
    const seen =
      "sha256sum /etc/systemd/system/k3s.service; systemctl show -p MainPID --value k3s; ls /etc/rancher/k3s";
    const before = device.sh(seen);
    const { result, reason: given } = device.apply(old);
    assert.equal(result, "failed");
    assert.match(given, reason);
    assert.equal(device.sh(seen), before, "nothing was touched");
  };

  for (const [what, options, reason, prepare] of [
    [
      "another node name by default",
      {},
      /^fixed: node-name is \S+ since the first start, the inventory says edge-0001 -/,
    ],
    ["another node name in the unit", { flags: ["--node-name=Other"] }, /^fixed: node-name is Other since/],
    ["another node name as a variable", { environment: ["K3S_NODE_NAME='other'"] }, /^fixed: node-name is other since/],
    [
      "another network in the unit",
      { flags: [...NAMED, "--cluster-cidr", "10.9.0.0/16"] },
      /^fixed: cluster-cidr is 10\.9\.0\.0\/16 since/,
    ],
    [
      "another network in a drop-in",
      { flags: NAMED, dropIn: "service-cidr: '10.8.0.0/16'\n" },
      /^fixed: service-cidr is 10\.8\.0\.0\/16 since/,
    ],
    [
      "another network that flannel has",
      { flags: NAMED },
      /^fixed: cluster-cidr is 10\.7\.0\.0\/16 since/,
      `mkdir -p ${SERVER}/../agent/etc/flannel; printf '{\n\t"Network": "10.7.0.0/16",\n' >${SERVER}/../agent/etc/flannel/net-conf.json`,
    ],
    [
      "another token for agents",
      { flags: [...NAMED, "--agent-token=0123456789abcdef"] },
      /^fixed: the token with which agents join is another one .* token-edge-0001/,
    ],
    ["embedded etcd by a flag", { flags: [...NAMED, "--cluster-init"] }, /^foreign: k3s runs on embedded etcd/],
    [
      "embedded etcd on the disk alone",
      { flags: NAMED },
      /^foreign: k3s runs on embedded etcd/,
      `mkdir -p ${SERVER}/db/etcd/member/wal`,
    ],
  ] satisfies [string, UpstreamOptions, RegExp, string?][])
    test(`with ${what} is refused before anything is touched`, () => refused(options, reason, prepare));

  for (const [what, setting, reason] of [
    ["a datastore elsewhere", "datastore-endpoint: mysql://x", /^foreign: k3s uses a datastore-endpoint/],
    ["another data folder", "data-dir: /srv/k3s", /^foreign: k3s keeps its data in \/srv\/k3s, edge-fleet in/],
    ["a server that it joins", "server: https://10.0.0.1:6443", /^foreign: k3s is an agent or one of several servers/],
  ] as const) {
    const [name = "", value = ""] = setting.split(/: (.*)/);
    const variable = { "datastore-endpoint": "K3S_DATASTORE_ENDPOINT", "data-dir": "K3S_DATA_DIR", server: "K3S_URL" }[
      name
    ];
    for (const [where, line, file] of [
      [
        "the unit",
        `s|k3s.*server|& --${name}=${value}|;s|^    server|& --${name}=${value}|`,
        "/etc/systemd/system/k3s.service",
      ],
      ["a variable", `$ a ${variable}="${value}"`, "/etc/systemd/system/k3s.service.env"],
      ["a file", `$ a ${name}: "${value}"`, "/etc/rancher/k3s/config.yaml"],
    ] as const)
      test(`with ${what} by ${where} is refused before anything is touched`, () =>
        refused(
          { flags: NAMED, environment: ["K3S_X=y"], config: "disable: traefik\n" },
          reason,
          `sed -i '${line}' ${file}`,
        ));
  }

  test("is copied, taken over, and its Secrets are encrypted", () => {
    const { device } = get();
    installUpstream(device, { flags: NAMED, config: "token: K10aa::server:0123456789abcdef\n" });
    device.sh("k3s kubectl create secret generic mine");
    device.push(OLD);
    assert.equal(device.apply(old).result, "applied");
    device.assertIs(old);
    assert.equal(device.sh(`grep -c '^secret mine plain' ${SERVER}/db/state.db || :`), "0");
    assert.equal(device.sh("grep -c '^secret mine plain' /var/lib/edge-fleet/backups/*-before/db/state.db"), "1");
    assert.equal(
      device.sh("k3s kubectl get secrets | cut -d ' ' -f 2; ls /var/lib/edge-fleet/plain-secrets 2>/dev/null || :"),
      "mine",
    );
    assert.equal(device.apply(old).result, "unchanged");
  });

  test("that is rolled back reads the Secrets that were written meanwhile", () => {
    const { device, sandbox } = get();
    installUpstream(device, { flags: NAMED });
    device.sh("k3s kubectl create secret generic before");
    device.push(OLD);
    device.killAt("commit");
    assert.match(device.apply(old).reason, /^interrupted: /);
    device.killAt("");
    device.sh("k3s kubectl create secret generic meanwhile");
    sandbox.run(`${PROGRAM_PATH} undo $(head -n 1 /var/lib/edge-fleet/journal | cut -f 2)`);
    assert.match(device.sh("cat /etc/systemd/system/k3s.service"), /--node-name/);
    assert.equal(
      device.sh("sleep 1; k3s kubectl get secrets | cut -d ' ' -f 2 | paste -s -d ' ' -"),
      "before meanwhile",
    );
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
