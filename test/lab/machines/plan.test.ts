import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bootstrapArguments,
  identityFiles,
  listensOnSsh,
  nspawnArguments,
  nspawnEnvironment,
  overlayOptions,
  packagesOf,
  rootEntry,
  sshArguments,
} from "./plan.ts";

test("a root file system has one init, and a name that changes with its packages and its set-up", () => {
  assert.ok(packagesOf("systemd").includes("systemd-sysv"));
  assert.ok(!packagesOf("openrc").some((name) => name.includes("systemd")));
  const names = [rootEntry("systemd", "a"), rootEntry("systemd", "b"), rootEntry("openrc", "a")];
  assert.equal(new Set(names).size, 3);
  assert.equal(rootEntry("systemd", "a"), names[0]);
  assert.match(names[0] ?? "", /^machine-systemd-[0-9a-f]{16}$/);
});

test("the host's way to its mirror is kept, and nothing else of its apt settings", () => {
  const dump = [
    'Acquire "";',
    'Acquire::Check-Valid-Until "false";',
    'Acquire::http::Proxy "http://127.0.0.1:3142";',
    'Acquire::https "";',
    'Acquire::IndexTargets::deb::DEP-11::KeepCompressed "true";',
    "",
  ].join("\n");
  const settings = bootstrapArguments("openrc", dump, "/tmp/root").filter((word) => word.startsWith("--aptopt="));
  assert.deepEqual(settings, [
    '--aptopt=Acquire::Check-Valid-Until "false"',
    '--aptopt=Acquire::http::Proxy "http://127.0.0.1:3142"',
  ]);
  assert.deepEqual(bootstrapArguments("openrc", "", "/tmp/root").slice(-2), ["bookworm", "/tmp/root"]);
});

test("a machine writes to a layer of its own and has no network but its own", () => {
  assert.equal(
    overlayOptions("edge-0001", "/cache/root"),
    "lowerdir=/cache/root,upperdir=/run/edge-fleet-machines/edge-0001/upper,workdir=/run/edge-fleet-machines/edge-0001/work",
  );
  const words = nspawnArguments({ id: "edge-0001", init: "systemd" });
  for (const word of ["--boot", "--private-network", "--directory=/run/edge-fleet-machines/edge-0001/root"])
    assert.ok(words.includes(word), word);
});

test("a machine that runs pods has a cable, what it is given, and the control groups of its host", () => {
  const request = {
    id: "edge-0001",
    init: "systemd",
    pods: { binds: { "/usr/local/bin/kubelet": "/cache/kubelet" } },
  } as const;
  const words = nspawnArguments(request);
  assert.ok(words.includes("--network-veth") && !words.includes("--private-network"));
  assert.ok(words.includes("--bind-ro=/cache/kubelet:/usr/local/bin/kubelet"));
  const { pods: _, ...plain } = request;
  const versions = [
    nspawnEnvironment(request, false),
    nspawnEnvironment(request, true),
    nspawnEnvironment(plain, false),
  ];
  assert.deepEqual(
    versions.map((variables) => variables.SYSTEMD_NSPAWN_UNIFIED_HIERARCHY),
    ["0", "1", "1"],
  );
  assert.ok(packagesOf("pods").includes("containerd") && !packagesOf("systemd").includes("containerd"));
});

test("ssh takes the machine's pinned key alone, and no settings of the person's", () => {
  const words = sshArguments("edge-0001", "edge");
  for (const word of ["StrictHostKeyChecking=yes", "GlobalKnownHostsFile=/dev/null", "none", "edge@127.0.0.1"])
    assert.ok(words.includes(word), word);
});

test("each machine has an identity of its own, whose private key is root's alone", () => {
  const key = (name: string) => ({ privateKey: `${name} private\n`, publicKey: `ssh-ed25519 ${name}` });
  const one = identityFiles("edge-0001", key("host"), key("client"));
  const find = (path: string) => one.find((file) => file.path === path);
  assert.equal(find("/etc/ssh/ssh_host_ed25519_key")?.mode, 0o600);
  assert.equal(find("/etc/ssh/authorized_keys")?.content, "ssh-ed25519 client\n");
  assert.match(String(find("/etc/machine-id")?.content), /^[0-9a-f]{32}\n$/);
  const other = identityFiles("edge-0002", key("host"), key("client"));
  assert.notDeepEqual(
    find("/etc/machine-id"),
    other.find(({ path }) => path === "/etc/machine-id"),
  );
});

const HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

for (const { name, line, listens } of [
  { name: "an SSH server", line: "   0: 00000000:0016 00000000:0000 0A 00000000:00000000", listens: true },
  {
    name: "an SSH server on IPv6",
    line: "   1: 00000000000000000000000000000000:0016 00000000000000000000000000000000:0000 0A 0:0",
    listens: true,
  },
  { name: "a connection to it", line: "   0: 0100007F:0016 0100007F:A0B2 01 00000000:00000000", listens: false },
  { name: "another server", line: "   0: 00000000:1622 00000000:0000 0A 00000000:00000000", listens: false },
]) {
  test(`${name} ${listens ? "is" : "is not"} taken for a machine that one can log in to`, () => {
    assert.equal(listensOnSsh(`${HEAD}${line}\n`), listens);
  });
}
