import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseAnsibleIni as iniGroups } from "../../../cli/import/ansible-ini.ts";
import { type AnsibleSource, readAnsible } from "../../../cli/import/ansible-model.ts";
import { parseAnsibleYaml as yamlGroups } from "../../../cli/import/ansible-yaml.ts";
import { parseCsvSource } from "../../../cli/import/csv.ts";
import type { SourceInventory } from "../../../cli/import/host.ts";
import { parseK0sctl } from "../../../cli/import/k0sctl.ts";
import { parseK3sup } from "../../../cli/import/k3sup.ts";
import { isSecretName } from "../../../cli/import/left-out.ts";
import { expandRange } from "../../../cli/import/ranges.ts";

/** Machines of an Ansible inventory that stands alone. */
function readGroups({ groups, problems }: AnsibleSource): SourceInventory {
  const read = readAnsible(groups);
  return { ...read, problems: [...problems, ...read.problems] };
}
const parseAnsibleIni = (file: string, text: string) => readGroups(iniGroups(file, text));
const parseAnsibleYaml = (file: string, text: string) => readGroups(yamlGroups(file, text));

/** The hosts in short: name, user, address, port, jump host, server. */
function summary({ hosts, problems }: SourceInventory): string[] {
  assert.deepEqual(problems, []);
  return hosts.map(({ name, user, address, port, proxy, server }) => {
    const through = proxy === undefined ? "" : ` via ${proxy.user ?? ""}@${proxy.host}:${proxy.port ?? ""}`;
    return `${name} ${user ?? ""}@${address}:${port ?? ""}${through}${server === undefined ? "" : ` joins ${server}`}`;
  });
}

/** In the shape of `k3sup plan --help`: https://github.com/alexellis/k3sup/blob/master/cmd/plan.go */
const K3SUP = `[
\t{
\t\t"hostname": "till-1",
\t\t"ip": "192.168.128.100",
\t\t"created_at": "2026-01-01T00:00:00Z"
\t},
\t{
\t\t"hostname": "till-2",
\t\t"ip": "192.168.128.101"
\t},
\t{
\t\t"hostname": "till-3",
\t\t"ip": "192.168.128.102"
\t}
]
`;

test("k3sup: without --servers each host is a cluster of its own", () => {
  const source = parseK3sup("plan.json", K3SUP, { servers: undefined });
  assert.deepEqual(summary(source), [
    "till-1 @192.168.128.100:",
    "till-2 @192.168.128.101:",
    "till-3 @192.168.128.102:",
  ]);
  assert.deepEqual(source.hosts[1]?.position, { file: "plan.json", line: 8, column: 15 });
  assert.deepEqual(
    source.leftOut.map(({ field, positions }) => [field, positions.map(({ line }) => line)]),
    [["[].created_at", [5]]],
  );
});

test("k3sup: with --servers the others join the first server", () => {
  assert.deepEqual(summary(parseK3sup("plan.json", K3SUP, { servers: 2 })), [
    "till-1 @192.168.128.100:",
    "till-2 @192.168.128.101:",
    "till-3 @192.168.128.102: joins till-1",
  ]);
});

/** In the shape of https://github.com/k3s-io/k3s-ansible/blob/master/inventory-sample.yml */
const K3S_ANSIBLE = `---
k3s_cluster:
  children:
    server:
      hosts:
        192.168.16.35:
    agent:
      hosts:
        box[08:10].example.com:
          ansible_port: 2222
        kiosk:
          ansible_host: 192.168.16.40
          ansible_user: pi
          ansible_become_password: hunter2
  vars:
    ansible_port: 22
    ansible_user: debian
    ansible_ssh_private_key_file: ~/.ssh/edge
    k3s_version: v1.34.2+k3s1
    token: "changeme!"
    api_endpoint: "{{ hostvars[groups['server'][0]]['ansible_host'] | default(groups['server'][0]) }}"
    extra_server_args: "--disable traefik"
`;

test("k3s-ansible in YAML: agents join the server, variables come from the nearest group", () => {
  const source = parseAnsibleYaml("inventory.yml", K3S_ANSIBLE);
  assert.deepEqual(summary(source), [
    "192.168.16.35 debian@192.168.16.35:22",
    "box08.example.com debian@box08.example.com:2222 joins 192.168.16.35",
    "box09.example.com debian@box09.example.com:2222 joins 192.168.16.35",
    "box10.example.com debian@box10.example.com:2222 joins 192.168.16.35",
    "kiosk pi@192.168.16.40:22 joins 192.168.16.35",
  ]);
  assert.deepEqual(source.hosts[0]?.fields, { "k3s.version": "v1.34.2+k3s1" });
  assert.deepEqual(
    source.secrets.map(({ field, positions }) => `${field}:${positions[0]?.line}:${positions[0]?.column}`),
    ["token:20:5", "ansible_become_password:14:11"],
  );
  assert.deepEqual(source.leftOut.map(({ field }) => field).sort(), [
    "ansible_ssh_private_key_file",
    "api_endpoint",
    "extra_server_args",
  ]);
  const account = JSON.stringify(source);
  for (const value of ["hunter2", "changeme", "disable traefik"]) assert.ok(!account.includes(value), value);
});

test("Ansible YAML: a vaulted variable is a secret whatever its name, and one that is needed is refused", () => {
  const vaulted = (name: string) =>
    parseAnsibleYaml(
      "i.yml",
      `all:\n  hosts:\n    a:\n      ${name}: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n        6162\n`,
    );
  assert.deepEqual(
    vaulted("motd").secrets.map(({ field }) => field),
    ["motd"],
  );
  assert.deepEqual(vaulted("ansible_host").problems, [
    "i.yml:4:7 a.ansible_host: is a template or encrypted - write the plain value",
  ]);
});

/** In the shape of k3s-ansible's hosts.ini and of https://docs.ansible.com/ansible/latest/collections/ansible/builtin/ini_inventory.html */
const INI = `# shops
[master]
shop-1 ansible_host=10.1.0.1 ansible_ssh_common_args='-o ProxyJump=ops@jump.example.com:2200' ; the first

[node]
shop-[2:3] ansible_host=10.1.0.2
spare.example.com:2022

[k3s_cluster:children]
master
node

[k3s_cluster:vars]
ansible_user = debian
ansible_ssh_pass="let me in"
`;

test("k3s-ansible in INI: ranges, ports, jump hosts and group variables", () => {
  const source = parseAnsibleIni("hosts.ini", INI.replace("; the first", "# the first"));
  assert.deepEqual(summary(source), [
    "shop-1 debian@10.1.0.1: via ops@jump.example.com:2200",
    "shop-2 debian@10.1.0.2: joins shop-1",
    "shop-3 debian@10.1.0.2: joins shop-1",
    "spare.example.com debian@spare.example.com:2022 joins shop-1",
  ]);
  assert.deepEqual(
    source.secrets.map(({ field }) => field),
    ["ansible_ssh_pass"],
  );
  assert.ok(!JSON.stringify(source).includes("let me in"));
  assert.deepEqual(source.hosts[3]?.position, { file: "hosts.ini", line: 7, column: 1 });
});

/** In the shape of https://github.com/k0sproject/k0sctl#configuration-file and its section on bastions */
const K0SCTL = `apiVersion: k0sctl.k0sproject.io/v1beta1
kind: Cluster
metadata:
  name: plant
spec:
  hosts:
    - role: worker
      ssh:
        address: 10.0.0.2
        user: ubuntu
        keyPath: ~/.ssh/id_rsa
        bastion:
          address: 10.0.0.250
          port: 2222
      privateInterface: enp0s31f6
    - role: controller+worker
      hostname: line-1
      openSSH:
        address: 10.0.0.1
      installFlags:
        - --debug
      environment:
        REGISTRY_TOKEN: abcdef
    - role: worker
      reset: true
      ssh:
        address: 10.0.0.9
  k0s:
    version: 1.34.1+k0s.0
    config:
      spec:
        api:
          externalAddress: 10.0.0.1
---
apiVersion: k0s.k0sproject.io/v1beta1
kind: ClusterConfig
`;

test("k0sctl: each host is a cluster of its own, a bastion is a jump host, hosts to reset stay out", () => {
  const source = parseK0sctl("k0sctl.yaml", K0SCTL);
  assert.deepEqual(summary(source), ["10.0.0.2 ubuntu@10.0.0.2: via root@10.0.0.250:2222", "line-1 @10.0.0.1:"]);
  assert.deepEqual(
    source.hosts.map(({ fields }) => fields),
    [
      { distribution: "k0s", "k0s.version": "v1.34.1+k0s.0", "network.interface": "enp0s31f6" },
      { distribution: "k0s", "k0s.version": "v1.34.1+k0s.0" },
    ],
  );
  assert.deepEqual(
    source.leftOut.map(({ field }) => field),
    ["spec.hosts[].ssh.keyPath", "spec.hosts[].installFlags", "spec.k0s.config"],
  );
  assert.deepEqual(
    source.secrets.map(({ field }) => field),
    ["spec.hosts[].environment.REGISTRY_TOKEN"],
  );
  assert.ok(!JSON.stringify(source).includes("abcdef"));
  assert.match(source.notes.join("\n"), /10\.0\.0\.9 is to be reset/);
});

test("CSV: columns by the inventory's names or by people's, others are named, passwords refused", () => {
  const source = parseCsvSource(
    "assets.csv",
    "Hostname,ip,region,labels.site,ssh.user,password,colour\nbox-1,10.0.0.1,tokyo,roof,pi,hunter2,red\nbox-2,10.0.0.2,,,,,\n",
  );
  assert.deepEqual(summary(source), ["box-1 pi@10.0.0.1:", "box-2 @10.0.0.2:"]);
  assert.deepEqual(
    source.hosts.map(({ region, fields }) => [region, fields]),
    [
      ["tokyo", { "labels.site": "roof" }],
      [undefined, {}],
    ],
  );
  assert.deepEqual(
    source.leftOut.map(({ field, positions }) => [field, positions[0]?.column]),
    [["colour", 50]],
  );
  assert.deepEqual(
    source.secrets.map(({ field }) => field),
    ["password"],
  );
  assert.ok(!JSON.stringify(source).includes("hunter2"));
});

const refused: { name: string; source: () => SourceInventory; problem: string }[] = [
  {
    name: "k3sup: a host without an address",
    source: () => parseK3sup("p.json", '[\n  {"hostname": "a"}\n]', { servers: undefined }),
    problem: "p.json:2:3 [0].ip: is missing - write a string",
  },
  {
    name: "k3sup: more servers than hosts",
    source: () => parseK3sup("p.json", '[{"hostname": "a", "ip": "1.1.1.1"}]', { servers: 2 }),
    problem: "p.json:1:1 (list): has 1 hosts and --servers asks for 2 - use fewer",
  },
  {
    name: "k3sup: no JSON",
    source: () => parseK3sup("p.json", '[{"hostname": "a",', { servers: undefined }),
    problem: "p.json:1:19 (syntax): is not valid YAML or JSON (BAD_INDENT) - fix the syntax",
  },
  {
    name: "k0sctl: a host over WinRM",
    source: () => parseK0sctl("k.yaml", "spec:\n  hosts:\n    - role: controller\n      winRM: { address: w }\n"),
    problem:
      "k.yaml:3:7 spec.hosts[0]: has no ssh or openSSH connection - edge-fleet reaches devices over SSH alone, remove the host",
  },
  {
    name: "k0sctl: an address from the environment",
    source: () => parseK0sctl("k.yaml", "spec:\n  hosts:\n    - role: single\n      ssh: { address: $IP }\n"),
    problem: "k.yaml:4:23 spec.hosts[0].ssh.address: is a variable - write the address",
  },
  {
    name: "k0sctl: an unknown role",
    source: () => parseK0sctl("k.yaml", "spec:\n  hosts:\n    - role: queen\n"),
    problem:
      "k.yaml:3:13 spec.hosts[0].role: is not one of the allowed values - use controller, worker, controller+worker, single, server, server+worker",
  },
  {
    name: "Ansible YAML: an address from a template",
    source: () => parseAnsibleYaml("i.yml", "all:\n  hosts:\n    a:\n      ansible_host: '{{ ip }}'\n"),
    problem: "i.yml:4:7 a.ansible_host: is a template or encrypted - write the plain value",
  },
  {
    name: "Ansible YAML: a range that runs backwards",
    source: () => parseAnsibleYaml("i.yml", "all:\n  hosts:\n    a[9:1]:\n"),
    problem:
      "i.yml:3:5 all.hosts.a[9:1]: has a range that ends before it begins or never - write e.g. [01:50] or [a:f]",
  },
  {
    name: "Ansible INI: a quote that never closes",
    source: () => parseAnsibleIni("h.ini", "[server]\na ansible_user='x\n"),
    problem: "h.ini:2:1 [server]: has a quote that never closes - fix the line",
  },
  {
    name: "Ansible INI: a proxy command",
    source: () => parseAnsibleIni("h.ini", "a ansible_ssh_common_args='-o ProxyCommand=\"ssh -W %h:%p j\"'\n"),
    problem:
      "h.ini:1:1 a.ansible_ssh_common_args: goes through a proxy that cannot be read - write it as `-o ProxyJump=user@host:port`",
  },
  {
    name: "CSV: no address",
    source: () => parseCsvSource("d.csv", "id,model\na,b\n"),
    problem: "d.csv:1:1 (header): has no column host - name the columns id,host,model,…",
  },
  {
    name: "CSV: a column that is there twice",
    source: () => parseCsvSource("d.csv", "id,host,host\na,b,c\n"),
    problem: "d.csv:1:9 (header): names the column host twice - remove one",
  },
  {
    name: "CSV: two columns that mean one field",
    source: () => parseCsvSource("d.csv", "id,host,ip\na,b,c\n"),
    problem: "d.csv:1:9 (header): names the field host twice - remove one column",
  },
  {
    name: "CSV: semicolons",
    source: () => parseCsvSource("d.csv", "id;host\na;b\n"),
    problem: "d.csv:1:1 (csv): is separated by semicolons - write commas",
  },
  {
    name: "CSV: a quote that never closes",
    source: () => parseCsvSource("d.csv", 'id,host\na,"b\n'),
    problem: "d.csv:2:3 (csv): opens a quote that nothing closes - close it",
  },
  {
    name: "CSV: a comma that is not quoted",
    source: () => parseCsvSource("d.csv", "id,host\na,b,c\n"),
    problem: "d.csv:2:5 row[0]: stands behind the 2 columns of the header - quote commas",
  },
];

for (const { name, source, problem } of refused) {
  test(`${name} is refused with its place`, () => {
    assert.deepEqual(source().problems, [problem]);
  });
}

test("ranges expand as Ansible documents them", () => {
  assert.deepEqual(expandRange("www[01:03].example.com"), [
    "www01.example.com",
    "www02.example.com",
    "www03.example.com",
  ]);
  assert.deepEqual(expandRange("www[1:5:2]"), ["www1", "www3", "www5"]);
  assert.deepEqual(expandRange("db-[a:c]"), ["db-a", "db-b", "db-c"]);
  assert.deepEqual(expandRange("r[1:2]-[a:b]"), ["r1-a", "r1-b", "r2-a", "r2-b"]);
});

test("a range has as many names as it says, all different", () => {
  const bounds = fc.tuple(fc.nat(500), fc.nat(500), fc.integer({ min: 1, max: 7 }), fc.boolean());
  fc.assert(
    fc.property(bounds, ([first, length, step, padded]) => {
      const from = padded ? String(first).padStart(4, "0") : String(first);
      const names = expandRange(`n[${from}:${first + length}:${step}]`);
      assert.equal(new Set(names).size, Math.floor(length / step) + 1);
      if (padded) assert.ok(names.every((name) => name.length === 5));
    }),
  );
});

test("secrets are known by their names, paths and switches are not secrets", () => {
  for (const name of [
    "token",
    "k3s_token",
    "ansible_ssh_pass",
    "ansible_password",
    "vault_pw",
    "API_KEY",
    "client_secret",
    "private_key",
  ])
    assert.ok(isSecretName(name), name);
  for (const name of [
    "keyPath",
    "ansible_ssh_private_key_file",
    "hostname",
    "bypass_count",
    "compass_dir",
    "token_file",
  ])
    assert.ok(!isSecretName(name), name);
});
