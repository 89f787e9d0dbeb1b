/**
 * Files in the layouts of other tools' own samples: what comes of each, line by line, and whether the inventory then loads and
 * every device can be planned. Read at k3s-ansible 281554e, kubespray 46dbdd399, k0sctl f4005b6 and k3sup 0e44269.
 */
import assert from "node:assert/strict";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { loadInventory, resolveFleet } from "../../../components/inventory/index.ts";
import { assertGolden } from "../../golden.ts";
import { edgeFleet } from "./command.ts";
import { BASE_FILES, temporaryDirectory, writeInventory } from "./inventory.ts";

const PEERS = join(import.meta.dirname, "peers");
const KNOWN_HOSTS = `[203.0.113.5]:2200 ssh-ed25519 ${Buffer.from("of the fixture's jump host").toString("base64")}\n`;

/** A project with a copy of the peers' files beside its inventory. */
function project(context: TestContext): string {
  const fleet = `${BASE_FILES["fleet.yaml"]}k0s: { version: v1.36.3+k0s.2 }\n`;
  const stacks = writeInventory(context, { "fleet.yaml": fleet, "tokyo.yaml": "region: tokyo\n" });
  const root = dirname(stacks);
  cpSync(PEERS, root, { recursive: true });
  writeFileSync(join(root, "known_hosts"), KNOWN_HOSTS);
  return root;
}

const importing = (root: string, args: readonly string[], environment: Record<string, string> = {}) =>
  edgeFleet(["import", ...args, "--region", "tokyo", "--model", "box"], { cwd: root, environment });

const taken: { name: string; args: string[]; devices: string[] }[] = [
  {
    name: "k3s-ansible",
    args: ["--ansible", "k3s-ansible/inventory.yml"],
    devices: [
      "till-server debian@192.0.2.11:22",
      "till01 debian@till01.shop.example.com:22",
      "till02 debian@till02.shop.example.com:2222",
    ],
  },
  {
    name: "kubespray",
    args: ["--ansible", "kubespray/inventory.ini", "--known-hosts", "known_hosts"],
    devices: ["edge-a ubuntu@198.51.100.11:22", "edge-b ubuntu@198.51.100.12:22", "edge-c ubuntu@198.51.100.13:22"],
  },
  {
    name: "k0sctl-basic",
    args: ["--k0sctl", "k0sctl/basic.yaml"],
    devices: ["tokyo-192-0-2-20-9022 root@192.0.2.20:9022", "tokyo-192-0-2-20-9023 root@192.0.2.20:9023"],
  },
  { name: "k0sctl-openssh", args: ["--k0sctl", "k0sctl/openssh.yaml"], devices: ["controller root@controller:22"] },
  {
    name: "k0sctl-multidoc",
    args: ["--k0sctl", "k0sctl/multidoc.yaml"],
    devices: ["tokyo-192-0-2-30 root@192.0.2.30:22"],
  },
  {
    name: "k3sup",
    args: ["--k3sup", "k3sup/plan.json", "--servers", "1"],
    devices: ["node-1 root@192.0.2.101:22", "node-2 root@192.0.2.102:22", "node-3 root@192.0.2.103:22"],
  },
];

for (const { name, args, devices } of taken) {
  test(`${name}: its machines are taken over, and the account says what is not`, async (context) => {
    const root = project(context);
    const { exitCode, stdout, stderr } = await importing(root, args);
    assert.deepEqual([exitCode, stderr], [0, ""]);
    assertGolden(`import/${name}.txt`, stdout);
    assert.doesNotMatch(stdout, /-of-the-fixture/);
    assert.doesNotMatch(readFileSync(join(root, "stacks/tokyo.yaml"), "utf8"), /-of-the-fixture/);
    const profiles = resolveFleet(loadInventory(join(root, "stacks")));
    assert.deepEqual(profiles.map(({ id, host, ssh }) => `${id} ${ssh.user}@${host}:${ssh.port}`).sort(), devices);
    const planned = await edgeFleet(["check"], { cwd: root });
    assert.doesNotMatch(planned.stdout, /is refused|not supported/, "no device is one that cannot be planned");
  });
}

test("k0sctl with variables: the import is refused, each with its place", async (context) => {
  const root = project(context);
  const { exitCode, stdout, stderr } = await importing(root, ["--k0sctl", "k0sctl/rootless.yaml"]);
  assert.deepEqual([exitCode, stdout], [2, ""]);
  assertGolden("import/k0sctl-rootless.txt", stderr);
});

test("without ansible-inventory its folders are named, and the inventory alone is imported", async (context) => {
  const root = project(context);
  const withoutPrograms = { PATH: temporaryDirectory(context) };
  const { exitCode, stdout } = await importing(root, ["--ansible", "k3s-ansible/inventory.yml"], withoutPrograms);
  assert.equal(exitCode, 0);
  assert.match(
    stdout,
    /^note: k3s-ansible\/group_vars and k3s-ansible\/host_vars: not read, since ansible-inventory is not installed here - install it/m,
  );
  assert.doesNotMatch(stdout, /timezone/);
});

test("a folder of variables that Ansible cannot read refuses the import, in Ansible's words", async (context) => {
  const root = project(context);
  writeFileSync(join(root, "k3s-ansible/group_vars/agent.yml"), "$ANSIBLE_VAULT;1.1;AES256\n6162\n");
  const { exitCode, stderr } = await importing(root, ["--ansible", "k3s-ansible/inventory.yml"]);
  assert.equal(exitCode, 2);
  assert.match(
    stderr,
    /cannot be read by Ansible: .*no vault secrets.* - run it by hand: ansible-inventory --inventory k3s-ansible/,
  );
});
