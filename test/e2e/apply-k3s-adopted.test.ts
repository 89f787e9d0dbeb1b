/** K3s that install.sh, k3sup or k3s-ansible made, taken over by edge-fleet: what is refused, copied, encrypted, rolled back. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { PROGRAM_PATH } from "../../components/device/program.ts";
import { OLD, profileWith, underEachShell } from "../lab/standins/apply-device.ts";
import { AWAIT_API, installUpstream, type UpstreamOptions } from "../lab/standins/upstream-k3s.ts";

const SERVER = "/var/lib/rancher/k3s/server";
const old = profileWith(OLD);

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
    device.sh(`${AWAIT_API}; k3s kubectl create secret generic mine`);
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
    device.sh(`${AWAIT_API}; k3s kubectl create secret generic before`);
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
