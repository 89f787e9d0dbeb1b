import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import type { Enrolment } from "../../../cli/enroll/outcome.ts";
import { editCsv } from "../../../cli/inventory-edit/csv.ts";
import type { EntryEdit } from "../../../cli/inventory-edit/edit.ts";
import { rewriteFile, writeEnrolments } from "../../../cli/inventory-edit/write.ts";
import { editYaml } from "../../../cli/inventory-edit/yaml.ts";
import { loadInventory } from "../../../components/inventory/index.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const HOST_KEY = `ssh-ed25519 ${Buffer.from("host key of the device").toString("base64")}`;
const IDENTITY_KEY = `ecdsa-sha2-nistp256 ${Buffer.from("identity of the device").toString("base64")}`;
const ENROLMENT: Enrolment = {
  hostKey: HOST_KEY,
  identityKey: IDENTITY_KEY,
  facts: {
    architecture: "arm64",
    memoryMiB: 3906,
    os: "Debian GNU/Linux 12 (bookworm)",
    kernel: "6.1",
    machineId: "0".repeat(64),
    program: "a".repeat(64),
    enrolledAt: "2026-11-24T20:18:54.000Z",
  },
};
const FACTS = `{ architecture: arm64, memoryMiB: 3906, os: Debian GNU/Linux 12 (bookworm), kernel: "6.1", machineId: "${"0".repeat(64)}", program: ${"a".repeat(64)}, enrolledAt: 2026-11-24T20:18:54.000Z }`;

function edit(id: string, before: Partial<EntryEdit["before"]> = {}): EntryEdit {
  return { id, enrolment: ENROLMENT, before: { hostKey: undefined, identityKey: undefined, ...before } };
}

/** Lines that the edit adds, with their indentation. */
function added(indent: string): string {
  return `${indent}hostKey: ${HOST_KEY}\n${indent}identityKey: ${IDENTITY_KEY}\n${indent}facts: ${FACTS}\n`;
}

const REGION = `# Tokyo, first floor.
region: tokyo   # three blanks before this comment

ring:    canary
"labels": {  "site" : 'x'  }


devices:
  # the first one
  - id: a   # ids are stickers on the lids
    host: 10.0.0.1
    labels:
      site: roof    # with a view
    # a comment of the first one

  - { id: b, host: 10.0.0.2,   model: box }   # flow

  - id: c
    model: box
    host: 10.0.0.3

# the end
`;

const inserted: { name: string; id: string; expected: string }[] = [
  {
    name: "a block entry whose last field is a map",
    id: "a",
    expected: REGION.replace("site: roof    # with a view\n", `site: roof    # with a view\n${added("    ")}`),
  },
  {
    name: "a flow entry",
    id: "b",
    expected: REGION.replace(
      "model: box }",
      `model: box, hostKey: ${HOST_KEY}, identityKey: ${IDENTITY_KEY}, facts: ${FACTS} }`,
    ),
  },
  {
    name: "a block entry before a comment",
    id: "c",
    expected: REGION.replace("10.0.0.3\n", `10.0.0.3\n${added("    ")}`),
  },
];

for (const { name, id, expected } of inserted) {
  test(`enrolling ${name} adds its fields and changes no other byte`, () => {
    const { text, conflicts } = editYaml(REGION, [edit(id)]);
    assert.equal(text, expected);
    assert.equal(conflicts.size, 0);
  });
}

test("several devices are written in one edit, whatever their order", () => {
  const oneByOne = ["a", "b", "c"].reduce((text, id) => editYaml(text, [edit(id)]).text, REGION);
  assert.equal(editYaml(REGION, [edit("c"), edit("a"), edit("b")]).text, oneByOne);
});

test("an edit that is made twice changes nothing the second time", () => {
  const once = editYaml(REGION, [edit("a"), edit("b")]).text;
  assert.equal(editYaml(once, [edit("a"), edit("b")]).text, once);
});

const layouts: { name: string; before: string; after: string }[] = [
  {
    name: "the last line of a file without a final newline",
    before: "devices:\n- id: a\n  host: h",
    after: `devices:\n- id: a\n  host: h\n${added("  ").trimEnd()}`,
  },
  {
    name: "a file with Windows line ends",
    before: "devices:\r\n  - id: a\r\n    host: h # x\r\n  - id: z\r\n",
    after: `devices:\r\n  - id: a\r\n    host: h # x\r\n${added("    ").replaceAll("\n", "\r\n")}  - id: z\r\n`,
  },
  {
    name: "a flow entry over several lines with a trailing comma",
    before: "devices: [\n  { id: a,\n    host: h, }, # x\n]\n",
    after: `devices: [\n  { id: a,\n    host: h, hostKey: ${HOST_KEY}, identityKey: ${IDENTITY_KEY}, facts: ${FACTS}, }, # x\n]\n`,
  },
  {
    name: "fields that are there but empty",
    before: "devices:\n  - id: a\n    hostKey: # none yet\n    host: h\n",
    after: `devices:\n  - id: a\n    hostKey: ${HOST_KEY} # none yet\n    host: h\n    identityKey: ${IDENTITY_KEY}\n    facts: ${FACTS}\n`,
  },
  {
    name: "a block scalar at the end of the entry",
    before: "devices:\n  - id: a\n    note: |\n      text\n  - id: z\n",
    after: `devices:\n  - id: a\n    note: |\n      text\n${added("    ")}  - id: z\n`,
  },
  {
    name: "facts in block style",
    before: "devices:\n  - id: a\n    facts:\n      os: old # o\n    host: h\n",
    after: `devices:\n  - id: a\n    facts: ${FACTS} # o\n    host: h\n    hostKey: ${HOST_KEY}\n    identityKey: ${IDENTITY_KEY}\n`,
  },
];

for (const { name, before, after } of layouts) {
  test(`YAML: ${name}`, () => assert.equal(editYaml(before, [edit("a")]).text, after));
}

test("an accepted new key replaces the pinned one in place", () => {
  const before = `devices:\n  - id: a\n    hostKey: ssh-ed25519 AAAA # pinned\n    identityKey: ${IDENTITY_KEY}\n    facts: {}\n`;
  const { text } = editYaml(before, [edit("a", { hostKey: "ssh-ed25519 AAAA", identityKey: IDENTITY_KEY })]);
  assert.equal(text, before.replace("ssh-ed25519 AAAA", HOST_KEY).replace("facts: {}", `facts: ${FACTS}`));
});

test("a key that somebody else wrote meanwhile is not overwritten", () => {
  const text = "devices:\n  - id: a\n    hostKey: ssh-ed25519 AAAA\n  - id: b\n";
  const result = editYaml(text, [edit("a"), edit("gone"), edit("b")]);
  assert.deepEqual([...result.conflicts.keys()], ["a", "gone"]);
  assert.equal(result.text, `${text}${added("    ")}`);
});

test("a CSV file without key columns gets them; other rows stay as they are", () => {
  const { text } = editCsv('id,host,model\na,10.0.0.1,box\n"b", 10.0.0.2 ,box\n\nc,10.0.0.3,box\n', [edit("b")]);
  const columns =
    "hostKey,identityKey,facts.architecture,facts.memoryMiB,facts.os,facts.kernel,facts.machineId,facts.program,facts.enrolledAt";
  const cells = `${HOST_KEY},${IDENTITY_KEY},arm64,3906,Debian GNU/Linux 12 (bookworm),6.1,${"0".repeat(64)},${"a".repeat(64)},2026-11-24T20:18:54.000Z`;
  assert.equal(text, `id,host,model,${columns}\na,10.0.0.1,box\n"b", 10.0.0.2 ,box,${cells}\n\nc,10.0.0.3,box\n`);
});

test("a CSV file with key columns is filled in, also in short and quoted rows", () => {
  const header = "hostKey,id,host,identityKey,model";
  const { text, conflicts } = editCsv(`${header}\r\n,a,"x,1",,box\r\n"",b,y\r\nK,c,z,,box`, [
    edit("a"),
    edit("b"),
    edit("c"),
  ]);
  const [first, a, b, c] = text.split("\r\n");
  assert.match(first ?? "", new RegExp(`^${header},facts\\.architecture,`));
  assert.ok(a?.startsWith(`${HOST_KEY},a,"x,1",${IDENTITY_KEY},box,arm64,3906,`), text);
  assert.ok(b?.startsWith(`${HOST_KEY},b,y,${IDENTITY_KEY},,arm64,3906,`), text);
  assert.equal(c, "K,c,z,,box");
  assert.deepEqual([...conflicts.keys()], ["c"]);
});

test("what is written is what the inventory loads", (context) => {
  const directory = writeInventory(context, {
    "tokyo.yaml":
      "region: tokyo\ndevicesFrom: tokyo.csv\ndevices:\n  - { id: a, host: h1, model: box }\n  - id: b\n    host: h2\n    model: box\n",
    "tokyo.csv": "id,host,model\nc,h3,box\nd,h4,box\n",
  });
  const read = () => loadInventory(directory).regions.get("tokyo")?.devices ?? [];
  const enrolments = new Map(["a", "b", "c"].map((id) => [id, enrolmentOf(id)]));
  const before = { hostKey: undefined, identityKey: undefined };
  const edits = read().flatMap(({ entry: { id }, position: { file } }) => {
    const enrolment = enrolments.get(id);
    return enrolment === undefined ? [] : [{ id, file, before, enrolment }];
  });
  assert.equal(writeEnrolments(edits).size, 0);
  for (const { entry } of read()) {
    const { hostKey, identityKey, facts } = enrolments.get(entry.id) ?? {};
    assert.deepEqual([entry.hostKey, entry.identityKey, entry.facts], [hostKey, identityKey, facts], entry.id);
  }
});

/** An enrolment with keys of its own. */
function enrolmentOf(id: string): Enrolment {
  const blob = Buffer.from(`key of ${id}`).toString("base64");
  const machineId = id.charCodeAt(0).toString(16).padStart(64, "0");
  return {
    hostKey: `ssh-ed25519 ${blob}`,
    identityKey: `ecdsa-sha2-nistp256 ${blob}`,
    facts: { ...ENROLMENT.facts, machineId },
  };
}

test("an edit by somebody else between reading and replacing survives", (context) => {
  const file = join(temporaryDirectory(context), "tokyo.yaml");
  writeFileSync(file, "devices:\n  - id: a\n", { mode: 0o640 });
  let reads = 0;
  rewriteFile(file, (text) => {
    reads += 1;
    if (reads === 1) writeFileSync(file, `${text}  - id: new # added meanwhile\n`);
    return editYaml(text, [edit("a")]);
  });
  assert.equal(readFileSync(file, "utf8"), `devices:\n  - id: a\n${added("    ")}  - id: new # added meanwhile\n`);
  assert.equal(reads, 2);
  assert.equal(statSync(file).mode & 0o777, 0o640);
});

test("a file behind a symbolic link is replaced, the link stays, and no temporary file is left", (context) => {
  const directory = temporaryDirectory(context);
  mkdirSync(join(directory, "real"));
  writeFileSync(join(directory, "real", "tokyo.yaml"), "devices:\n  - id: a\n");
  symlinkSync("real/tokyo.yaml", join(directory, "tokyo.yaml"));
  writeEnrolments([{ ...edit("a"), file: join(directory, "tokyo.yaml") }]);
  assert.match(readFileSync(join(directory, "real", "tokyo.yaml"), "utf8"), /hostKey: ssh-ed25519/);
  assert.deepEqual(readdirSync(directory).sort(), ["real", "tokyo.yaml"]);
  assert.deepEqual(readdirSync(join(directory, "real")), ["tokyo.yaml"]);
});

test("a file that cannot be parsed any more is named and left alone", (context) => {
  const file = join(temporaryDirectory(context), "tokyo.yaml");
  writeFileSync(file, "devices: [\n");
  assert.throws(() => writeEnrolments([{ ...edit("a"), file }]), /tokyo\.yaml: .* - mend the syntax/s);
  assert.equal(readFileSync(file, "utf8"), "devices: [\n");
});
