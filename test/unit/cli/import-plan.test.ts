import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { deviceIds } from "../../../cli/import/identify.ts";
import { bestKey } from "../../../cli/import/known-hosts.ts";
import { appendCsv, appendYaml } from "../../../cli/inventory-edit/append.ts";
import { loadInventory, resolveProfile } from "../../../components/inventory/index.ts";
import { edgeFleet } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const TOKYO = `# Tokyo
region: tokyo

devices:
  # the first
  - id: a
    host: 10.0.0.1
    model: box

  - { id: b, host: 10.0.0.2, model: box }   # flow
# the end
`;

const PLAN = '[{"hostname": "till-1", "ip": "10.9.0.1"}, {"hostname": "Till_2.example.com", "ip": "10.9.0.2"}]';

/** Writes a source beside the inventory and imports it. */
async function importing(
  context: TestContext,
  files: Record<string, string>,
  source: [string, string],
  ...args: string[]
) {
  const stacks = writeInventory(context, files);
  const [name, text] = source;
  writeFileSync(join(stacks, "..", name), text);
  const run = () => edgeFleet(["import", ...args], { cwd: join(stacks, "..") });
  return { stacks, run, ...(await run()) };
}

const read = (stacks: string, name: string): string => readFileSync(join(stacks, name), "utf8");

test("machines go behind the last device of a region's list, and not a byte of it changes", async (context) => {
  const { stacks, exitCode, stdout, stderr } = await importing(
    context,
    { "tokyo.yaml": TOKYO },
    ["plan.json", PLAN],
    ...["--k3sup", "plan.json", "--region", "tokyo", "--model", "box", "--user", "pi", "--servers", "1"],
  );
  assert.deepEqual([exitCode, stderr], [0, ""]);
  const entries = `
  - id: till-1
    host: 10.9.0.1
    model: box
    network:
      shape: lan
    ssh:
      user: pi

  - id: till-2
    host: 10.9.0.2
    model: box
    joins: till-1
    network:
      shape: lan
    ssh:
      user: pi
`;
  assert.equal(read(stacks, "tokyo.yaml"), TOKYO.replace("# flow\n", `# flow\n${entries}`));
  assert.equal(resolveProfile(loadInventory(stacks), "till-2").joins, "till-1");
  assert.match(stdout, /^note: ids were made from the names: Till_2\.example\.com -> till-2$/m);
  assert.match(stdout, /^Next: git diff -- stacks\/tokyo\.yaml, then: edge-fleet enroll tokyo$/m);
});

test("a region with a CSV file gets rows, with the columns that it lacked", async (context) => {
  const csv = 'id,host,model,values.os\r\nx,10.0.0.9,box,"Debian, 12"\r\n';
  const { stacks, exitCode, stderr } = await importing(
    context,
    { "tokyo.yaml": "region: tokyo\ndevicesFrom: tokyo.csv\n", "tokyo.csv": csv },
    ["hosts.ini", "[server]\ntill ansible_host=10.9.0.1 ansible_port=2222\n"],
    ...["--ansible", "hosts.ini", "--region", "tokyo", "--model", "box"],
  );
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.equal(
    read(stacks, "tokyo.csv"),
    `${csv.replace("values.os", "values.os,ssh.port")}till,10.9.0.1,box,,2222\r\n`,
  );
});

test("host keys of the source go into the lock, and into no other file", async (context) => {
  const key = (name: string) => `ssh-ed25519 ${Buffer.from(name).toString("base64")}`;
  const { stacks, exitCode, stderr } = await importing(
    context,
    { "tokyo.yaml": TOKYO },
    ["d.csv", `id,host,hostKey\ntill,10.9.0.1,${key("till")}\nlamp,10.9.0.2,\n`],
    ...["--csv", "d.csv", "--region", "tokyo", "--model", "box"],
  );
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.doesNotMatch(read(stacks, "tokyo.yaml"), /hostKey/);
  const { entry } =
    loadInventory(stacks)
      .regions.get("tokyo")
      ?.devices.find((d) => d.entry.id === "till") ?? {};
  assert.deepEqual([entry?.hostKey, entry?.identityKey], [key("till"), undefined]);
  assert.equal(resolveProfile(loadInventory(stacks), "lamp").hostKey, undefined);
});

test("host keys of devices are taken from known_hosts where the source has none", async (context) => {
  const key = (name: string) => `ssh-ed25519 ${Buffer.from(name).toString("base64")}`;
  const known = join(temporaryDirectory(context), "known_hosts");
  writeFileSync(known, `10.9.0.1 ${key("known")}\n[10.9.0.2]:2222 ${key("other port")}\n10.9.0.3 ${key("ignored")}\n`);
  const { stacks, exitCode, stdout } = await importing(
    context,
    { "tokyo.yaml": TOKYO },
    ["d.csv", `id,host,port,hostKey\ntill,10.9.0.1,,\nlamp,10.9.0.2,2222,\nsign,10.9.0.3,,${key("own")}\n`],
    ...["--csv", "d.csv", "--region", "tokyo", "--model", "box", "--known-hosts", known],
  );
  assert.equal(exitCode, 0);
  assert.match(stdout, /^note: 2 host key\(s\) of devices were taken from known_hosts: enroll accepts no other$/m);
  const keys = ["till", "lamp", "sign"].map((id) => resolveProfile(loadInventory(stacks), id).hostKey);
  assert.deepEqual(keys, [key("known"), key("other port"), key("own")]);
});

test("a new region gets a file, with what all its machines share written once", async (context) => {
  const rows = Array.from(
    { length: 30 },
    (_, index) => `box-${index},10.7.0.${index},edge,${index % 2 ? "roof" : "cellar"}`,
  );
  const { stacks, exitCode, stdout, stderr } = await importing(
    context,
    {},
    ["assets.csv", `id,ip,ssh.user,site\n${rows.join("\n")}\n`],
    ...["--csv", "assets.csv", "--region", "osaka", "--model", "box", "--json"],
  );
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.match(read(stacks, "osaka.yaml"), /\nregion: osaka\ndevicesFrom: osaka\.csv\nssh:\n {2}user: edge\n$/);
  assert.match(read(stacks, "osaka.csv"), /^id,host,model,labels\.site\nbox-0,10\.7\.0\.0,box,cellar\n/);
  assert.equal(resolveProfile(loadInventory(stacks), "box-29").ssh.user, "edge");
  const { next } = JSON.parse(stdout) as { next: string[] };
  assert.deepEqual(next, [
    "git diff -- stacks/osaka.yaml stacks/osaka.csv",
    "pulumi stack init osaka",
    "edge-fleet enroll osaka",
  ]);
});

test("k0sctl's bastion becomes a pinned jump host, and nothing is trusted unseen", async (context) => {
  const key = `ssh-ed25519 ${Buffer.from("the key of the jump host").toString("base64")}`;
  const yaml = `kind: Cluster
spec:
  hosts:
    - role: single
      hostname: line-1
      ssh: { address: 10.0.0.5, bastion: { address: jump.example.com, port: 2222 } }
  k0s: { version: v1.34.1+k0s.0 }
`;
  const args = ["--k0sctl", "k0sctl.yaml", "--region", "tokyo", "--model", "box"];
  const refusal = await importing(context, { "tokyo.yaml": TOKYO }, ["k0sctl.yaml", yaml], ...args);
  assert.equal(refusal.exitCode, 2);
  assert.match(
    refusal.stderr,
    /k0sctl\.yaml:4:7 spec\.hosts\[0\] \(jump host\): jump\.example\.com has no known host key/,
  );
  const known = join(temporaryDirectory(context), "known_hosts");
  writeFileSync(known, `[jump.example.com]:2222 ${key}\n`);
  const { stacks, exitCode, stderr } = await importing(
    context,
    { "tokyo.yaml": TOKYO },
    ["k0sctl.yaml", yaml],
    ...[...args, "--known-hosts", known],
  );
  assert.deepEqual([exitCode, stderr], [0, ""]);
  const profile = resolveProfile(loadInventory(stacks), "line-1");
  assert.deepEqual(profile.ssh.proxy, { host: "jump.example.com", port: 2222, user: "root", hostKey: key });
  assert.deepEqual([profile.distribution, profile.k0s.version], ["k0s", "v1.34.1+k0s.0"]);
});

test("a dry run writes nothing and says what it would", async (context) => {
  const { stacks, exitCode, stdout } = await importing(
    context,
    { "tokyo.yaml": TOKYO },
    ["plan.json", PLAN],
    ...["--k3sup", "plan.json", "--region", "osaka", "--model", "box", "--dry-run"],
  );
  assert.equal(exitCode, 0);
  assert.match(stdout, /^2 device\(s\) would go into stacks\/osaka\.yaml$/m);
  assert.ok(!existsSync(join(stacks, "osaka.yaml")));
});

const refused: { name: string; plan: string; args: string[]; message: RegExp }[] = [
  {
    name: "an id that is taken",
    plan: '[{"hostname": "a", "ip": "10.9.0.1"}]',
    args: ["--region", "tokyo", "--model", "box"],
    message: /plan\.json:1:15 \[0\]\.id: a is already that of device a at stacks\/tokyo\.yaml:6:9 - remove one of them/,
  },
  {
    name: "an address that is taken",
    plan: '[{"hostname": "c", "ip": "10.0.0.2"}]',
    args: ["--region", "osaka", "--model", "box"],
    message: /plan\.json:1:15 \[0\]\.host: 10\.0\.0\.2 is already that of device b at stacks\/tokyo\.yaml:10:11/,
  },
  {
    name: "a machine that is there twice",
    plan: '[{"hostname": "c", "ip": "10.9.0.1"}, {"hostname": "C", "ip": "10.9.0.2"}]',
    args: ["--region", "osaka", "--model", "box"],
    message: /plan\.json:1:52 \[1\]\.id: c is already that of c at plan\.json:1:15/,
  },
  {
    name: "an unknown model",
    plan: PLAN,
    args: ["--region", "osaka", "--model", "bux"],
    message: /\[0\]\.model: bux is not in models\.yaml - did you mean box\?/,
  },
  {
    name: "no model where the fleet has several",
    plan: PLAN,
    args: ["--region", "osaka"],
    message: /\[0\]\.model: has no model - use --model with one of box, other/,
  },
  {
    name: "no region",
    plan: PLAN,
    args: ["--model", "box"],
    message: /\[0\]\.region: is in no region - use --region <name>/,
  },
  {
    name: "an address that is none",
    plan: '[{"hostname": "c", "ip": "http://x"}]',
    args: ["--region", "osaka", "--model", "box"],
    message: /plan\.json:1:15 \[0\]\.host: is not a host name or IP address/,
  },
  {
    name: "a name that no id can be made from",
    plan: '[{"hostname": "###", "ip": "10.9.0.1"}]',
    args: ["--region", "osaka", "--model", "box"],
    message: /plan\.json:1:15 \[0\]\.id: is not a DNS-1123 label/,
  },
  {
    name: "a region whose name is none",
    plan: PLAN,
    args: ["--region", "Osaka", "--model", "box"],
    message: /stacks\/Osaka\.yaml:\d+:\d+ region: is not a DNS-1123 label/,
  },
];

for (const { name, plan, args, message } of refused) {
  test(`${name}: the import is refused and nothing is written`, async (context) => {
    const { stacks, exitCode, stdout, stderr } = await importing(
      context,
      { "tokyo.yaml": TOKYO },
      ["plan.json", plan],
      ...["--k3sup", "plan.json", ...args],
    );
    assert.deepEqual([exitCode, stdout], [2, ""]);
    assert.match(stderr, message);
    assert.equal(read(stacks, "tokyo.yaml"), TOKYO);
    assert.equal(readdirSync(stacks).length, 4);
  });
}

test("importing the same file again is refused", async (context) => {
  const { run, exitCode } = await importing(
    context,
    { "tokyo.yaml": TOKYO },
    ["plan.json", PLAN],
    ...["--k3sup", "plan.json", "--region", "tokyo", "--model", "box"],
  );
  assert.equal(exitCode, 0);
  const again = await run();
  assert.equal(again.exitCode, 2);
  assert.match(again.stderr, /till-1 is already that of device till-1/);
});

const appended: { name: string; before: string; after: string }[] = [
  { name: "no list", before: "region: x", after: "region: x\n\ndevices:\n  - id: n\n    host: h\n" },
  {
    name: "an empty list",
    before: "region: x\ndevices: []  # none yet\n\nring: canary\n",
    after: "region: x\ndevices:  # none yet\n  - id: n\n    host: h\n\nring: canary\n",
  },
  {
    name: "a field without a value",
    before: "devices:\nregion: x\n",
    after: "devices:\n  - id: n\n    host: h\nregion: x\n",
  },
  {
    name: "a flow list",
    before: "devices: [{ id: a }]\nregion: x\n",
    after: "devices: [{ id: a }, { id: n, host: h }]\nregion: x\n",
  },
  {
    name: "a list that is not indented, with other line ends and no last one",
    before: "devices:\r\n- id: a\r\n- id: b",
    after: "devices:\r\n- id: a\r\n- id: b\r\n- id: n\r\n  host: h\r\n",
  },
];

for (const { name, before, after } of appended) {
  test(`entries are added to ${name}`, () => {
    assert.equal(appendYaml(before, [{ id: "n", host: "h" }]), after);
  });
}

test("rows are added to a file without header, and to one without a last line end", () => {
  assert.equal(appendCsv("", [{ id: "a", host: "h, i" }]), 'id,host\na,"h, i"\n');
  assert.equal(appendCsv("host,id\nx,y", [{ id: "a", "ssh.port": 22 }]), "host,id,ssh.port\nx,y\n,a,22\n");
});

test("an id is a DNS label or empty, and names of different machines never share one by being cut", () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
  const name = fc.array(label, { minLength: 2, maxLength: 3 }).map((labels) => labels.join("."));
  fc.assert(
    fc.property(fc.uniqueArray(name, { minLength: 1, maxLength: 6 }), (names) => {
      const ids = [...deviceIds(names, "tokyo").values()];
      const first = names.map((each) => each.split(".")[0]);
      for (const id of ids) assert.match(id, /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
      if (new Set(first).size === names.length) assert.deepEqual(ids, first);
    }),
  );
  assert.deepEqual(
    [...deviceIds(["a.x.net", "a.y.net", "10.0.0.1", "fe80::1"], "tokyo").values()],
    ["a-x-net", "a-y-net", "tokyo-10-0-0-1", "tokyo-fe80-1"],
  );
});

test("of a jump host's known keys the strongest is pinned, revoked ones never", () => {
  const line = (type: string, mark = "") => `${mark}jump ${type} AAAA`;
  const found = [
    "# Host jump found: line 1",
    line("ssh-rsa"),
    line("ssh-ed25519", "@revoked "),
    line("ecdsa-sha2-nistp256"),
  ];
  assert.equal(bestKey(found.join("\n")), "ecdsa-sha2-nistp256 AAAA");
  assert.equal(bestKey(""), undefined);
});
