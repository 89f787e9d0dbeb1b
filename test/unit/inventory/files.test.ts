/** What people meet in their first hour: files that are not what the loader wants, each told with its place and the fix. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parseCsv } from "../../../components/inventory/csv.ts";
import { InventoryError, loadInventory } from "../../../components/inventory/index.ts";
import { readTextFile } from "../../../components/inventory/read.ts";
import { FLEET, inventoryFolder, REGION } from "./folder.ts";

const FROM_CSV = "region: tokyo\ndevicesFrom: tokyo.csv\n";
/** A user without rights. */
const NOBODY = 65534;
const KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGq3aTl0pY4aZ1CfMEiZlqkBv2f6dO0tSNUuKcTzJbZH";

/** The error of loading a folder, with the folder's name cut off. */
function refusal(directory: string): { problems: string[]; message: string } {
  const cut = (text: string) => text.replaceAll(`${directory}/`, "");
  try {
    loadInventory(directory);
  } catch (error) {
    assert.ok(error instanceof InventoryError, String(error));
    return { problems: error.problems.map(cut), message: cut(error.message) };
  }
  return { problems: [], message: "" };
}

const CASES: readonly { name: string; files: Record<string, string>; problems: string[] }[] = [
  {
    name: "a region whose file ends in .yml",
    files: { "osaka.yml": "region: osaka\n" },
    problems: ["osaka.yml:1:1 (file): is not read - rename it to osaka.yaml"],
  },
  {
    name: "a lock whose region file is gone",
    files: { "osaka.lock.yaml": `devices:\n  osaka-0001: {hostKey: ${KEY}}\n` },
    problems: ["osaka.lock.yaml:1:1 (file): there is no osaka.yaml - restore it, or remove this file too"],
  },
  {
    name: "an id of digits",
    files: { "tokyo.yaml": REGION.replace("tokyo-0001", "007") },
    problems: ["tokyo.yaml:3:9 devices[0].id: is a number - put it in quotes"],
  },
  {
    name: "a version that YAML takes for a number",
    files: { "fleet.yaml": FLEET.replace("v1.36.2+k3s1", "1.36") },
    problems: ["fleet.yaml:9:12 k3s.version: is a number - put it in quotes"],
  },
  {
    name: "a label that YAML takes for a truth value",
    files: { "tokyo.yaml": `${REGION}    labels: {indoor: true}\n` },
    problems: ["tokyo.yaml:6:22 devices[0].labels.indoor: is a boolean - put it in quotes"],
  },
  {
    name: "a CSV file with semicolons",
    files: { "tokyo.yaml": FROM_CSV, "tokyo.csv": "id;host;model\nt-1;10.0.0.1;nuc-4g\n" },
    problems: ["tokyo.csv:1:1 (csv): is separated by semicolons - write commas"],
  },
  {
    name: "a CSV file with tabs",
    files: { "tokyo.yaml": FROM_CSV, "tokyo.csv": "id\thost\tmodel\nt-1\t10.0.0.1\tnuc-4g\n" },
    problems: ["tokyo.csv:1:1 (csv): is separated by tabs - write commas"],
  },
  {
    name: "a CSV column that is there twice",
    files: { "tokyo.yaml": FROM_CSV, "tokyo.csv": "id,host,model,host\nt-1,10.0.0.1,nuc-4g,10.0.0.2\n" },
    problems: ["tokyo.csv:1:15 (header): names the column host twice - remove one"],
  },
  {
    name: "a CSV cell behind the last column",
    files: { "tokyo.yaml": FROM_CSV, "tokyo.csv": "id,host,model\nt-1,10.0.0.1,nuc-4g,\nt-2,10.0.0.2,nuc-4g,ueno\n" },
    problems: [
      "tokyo.csv:3:21 row[1]: stands behind the last column that has a name, the header has 3 - quote commas, or name the column",
    ],
  },
  {
    name: "a CSV quote that nothing closes",
    files: { "tokyo.yaml": FROM_CSV, "tokyo.csv": 'id,host,model\nt-1,"10.0.0.1,nuc-4g\n' },
    problems: ["tokyo.csv:2:5 (csv): opens a quote that nothing closes - close it"],
  },
  {
    name: "a CSV cell that goes on behind its quotes",
    files: { "tokyo.yaml": FROM_CSV, "tokyo.csv": 'id,host,model\n"t-1"x,10.0.0.1,nuc-4g\n' },
    problems: ["tokyo.csv:2:6 (csv): stands behind a closing quote - put a comma there, or double the quote"],
  },
  {
    name: "a CSV cell below one of several lines, counted from the line that it is on",
    files: {
      "tokyo.yaml": FROM_CSV,
      "tokyo.csv": 'id,values.note,host,model,ssh.port\nt-1,"two\nlines",10.0.0.1,nuc-4g,x\n',
    },
    problems: ["tokyo.csv:3:24 row[0].ssh.port: is a string - write a number"],
  },
  {
    name: "a pinned key in an entry",
    files: { "tokyo.yaml": `${REGION}    hostKey: ${KEY}\n` },
    problems: [
      "tokyo.yaml:6:5 devices[0].hostKey: belongs in tokyo.lock.yaml - remove it and run edge-fleet enroll tokyo",
    ],
  },
  {
    name: "pinned keys and facts in a CSV file",
    files: {
      "tokyo.yaml": FROM_CSV,
      "tokyo.csv": `id,host,model,identityKey,facts.os\nt-1,10.0.0.1,nuc-4g,${KEY},x\n`,
    },
    problems: [
      "tokyo.csv:1:15 identityKey: belongs in tokyo.lock.yaml - remove it and run edge-fleet enroll tokyo",
      "tokyo.csv:1:27 facts.os: belongs in tokyo.lock.yaml - remove it and run edge-fleet enroll tokyo",
    ],
  },
  {
    name: "a lock that is none",
    files: { "tokyo.lock.yaml": "devices:\n  tokyo-0001: {hostKey: nonsense, when: now}\n" },
    problems: [
      "tokyo.lock.yaml:2:25 devices.tokyo-0001.hostKey: is not an OpenSSH public key - write `<type> <base64>` without a comment",
      "tokyo.lock.yaml:2:35 devices.tokyo-0001.when: is not a known field - remove it or use one of hostKey, identityKey, facts",
    ],
  },
];

for (const { name, files, problems } of CASES) {
  test(`${name} is refused`, () => assert.deepEqual(refusal(inventoryFolder(files)).problems, problems));
}

test("what is no regular file is an error at once, and waits for nobody", () => {
  const directory = inventoryFolder({ "tokyo.yaml": FROM_CSV });
  const csv = join(directory, "tokyo.csv");
  const told = () => refusal(directory).problems;
  mkdirSync(csv);
  assert.deepEqual(told(), ["tokyo.csv:1:1 (file): is a directory - give a file"]);
  rmSync(csv, { recursive: true });
  assert.equal(spawnSync("mkfifo", [csv]).status, 0);
  assert.deepEqual(told(), ["tokyo.csv:1:1 (file): is not a regular file - give a file"]);
});

test("a file that may not be read is refused, and says so", (context) => {
  const file = join(mkdtempSync(join(tmpdir(), "edge-fleet-")), "tokyo.csv");
  context.after(() => rmSync(dirname(file), { recursive: true }));
  writeFileSync(file, "id,host,model\n");
  chmodSync(dirname(file), 0o755);
  chmodSync(file, 0);
  const root = process.getuid?.() === 0;
  if (root) process.seteuid?.(NOBODY);
  try {
    assert.throws(() => readTextFile(file), {
      message: `${file}:1:1 (file): may not be read - change its permissions`,
    });
  } finally {
    if (root) process.seteuid?.(0);
  }
});

test("bytes that are not UTF-8 are refused at the first one, and never become replacement characters", () => {
  const directory = inventoryFolder({ "tokyo.yaml": FROM_CSV });
  writeFileSync(
    join(directory, "tokyo.csv"),
    Buffer.from("id,host,model,values.site\nt-1,10.0.0.1,nuc-4g,m\u00fcnchen\n", "latin1"),
  );
  assert.deepEqual(refusal(directory).problems, [
    "tokyo.csv:2:22 (file): is not UTF-8 from here on - save the file as UTF-8",
  ]);
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", maxLength: 40 }), (text) => {
      const file = join(directory, "text");
      writeFileSync(file, text.toWellFormed());
      assert.equal(readTextFile(file), text.toWellFormed());
    }),
  );
});

test("5,000 equal problems are a few lines and a count; the list has them all", () => {
  const rows = Array.from({ length: 5000 }, (_, index) => `t-${index},10.${index >> 8}.${index & 255}.1,nuc-4gb\n`);
  const directory = inventoryFolder({
    "fleet.yaml": FLEET.replace("rings: [canary, broad]", "rings: [canary, broad, broad]"),
    "tokyo.yaml": FROM_CSV,
    "tokyo.csv": `id,host,model\n${rows.join("")}`,
  });
  const { problems, message } = refusal(directory);
  assert.equal(problems.length, 5001);
  const [head, other, ...alike] = message.split("\n");
  assert.equal(head, "the inventory has 5001 problem(s):");
  assert.match(other ?? "", /^fleet\.yaml:4:/);
  assert.deepEqual(alike, [
    ...[0, 1, 2].map(
      (index) =>
        `tokyo.csv:${index + 2}:1 row[${index}].model (t-${index}): nuc-4gb is not in models.yaml - did you mean nuc-4g?`,
    ),
    "... and 4997 more like this",
  ]);
});

test("any table reads back from its CSV text, whatever is in a cell and however lines end", () => {
  const cell = fc.string({ unit: fc.constantFrom("a", "7", ",", ";", '"', " ", "\n", "\r\n", "ü", "#"), maxLength: 8 });
  const line = fc.constantFrom("\n", "\r\n", "\r");
  fc.assert(
    fc.property(fc.array(fc.tuple(cell, cell, cell), { maxLength: 6 }), line, fc.boolean(), (rows, ending, mark) => {
      const quoted = rows.map((row) => row.map((value) => `"${value.replaceAll('"', '""')}"`).join(","));
      const text = `${mark ? "\ufeff" : ""}${["x,y,z", ...quoted].join(ending)}${ending}`;
      const problems: string[] = [];
      const table = parseCsv("t.csv", text, problems);
      assert.deepEqual(problems, []);
      assert.deepEqual(
        table.rows.map((cells) => cells.map(({ value }) => value)),
        rows.filter((row) => row.some((value) => value !== "")),
      );
      for (const { value, start, end } of [table.header, ...table.rows].flat())
        assert.equal(text.slice(start, end).replace(/^"|"$/g, "").replaceAll('""', '"'), value);
    }),
  );
});
