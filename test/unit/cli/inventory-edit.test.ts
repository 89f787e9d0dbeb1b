import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { editRegionLock, type Pin } from "../../../cli/inventory-edit/lock.ts";
import { rewriteFile } from "../../../cli/inventory-edit/write.ts";
import { parseYamlFile } from "../../../components/inventory/files.ts";
import { loadInventory } from "../../../components/inventory/index.ts";
import { type LockedDevice, RegionLockSchema } from "../../../components/inventory/lock-schema.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const LOCK = { file: "stacks/tokyo.lock.yaml", region: "tokyo" };

/** Pins with keys of their own. */
function pinned(id: string): LockedDevice {
  const blob = Buffer.from(`key of ${id}`).toString("base64");
  const facts = { architecture: "arm64", memoryMiB: 3906, os: "Debian GNU/Linux 12: bookworm", kernel: "6.1" } as const;
  return { hostKey: `ssh-ed25519 ${blob}`, identityKey: `ecdsa-sha2-nistp256 ${blob}`, facts };
}

const pin = (id: string, before?: LockedDevice): Pin => ({ id, pinned: pinned(id), before });

function devicesIn(text: string): Readonly<Record<string, LockedDevice>> | undefined {
  const problems: string[] = [];
  const { value } = parseYamlFile(LOCK.file, text, RegionLockSchema, problems);
  assert.deepEqual(problems, []);
  return value?.devices;
}

test("a lock says who writes it, and has its devices by id", () => {
  const { text } = editRegionLock(LOCK, undefined, [pin("b"), pin("a")]);
  assert.equal(
    text,
    `# What the devices of tokyo are pinned to: SSH host key, identity key and what they said about themselves.
# Written by \`edge-fleet enroll tokyo\`, never by hand; reviewed and committed like package-lock.json.
devices:
${["a", "b"]
  .map(
    (id) => `  ${id}:
    hostKey: ${pinned(id).hostKey}
    identityKey: ${pinned(id).identityKey}
    facts:
      architecture: arm64
      memoryMiB: 3906
      os: "Debian GNU/Linux 12: bookworm"
      kernel: "6.1"
`,
  )
  .join("")}`,
  );
});

test("the order of pins and of runs does not show, and a second time changes nothing", () => {
  const id = fc.stringMatching(/^[a-z0-9]{1,6}$/);
  fc.assert(
    fc.property(fc.uniqueArray(id, { minLength: 1, maxLength: 12 }), fc.nat(), (ids, seed) => {
      const pins = ids.map((each) => pin(each));
      const cut = seed % (ids.length + 1);
      const once = editRegionLock(LOCK, undefined, pins).text;
      const first = editRegionLock(LOCK, undefined, pins.slice(cut)).text;
      assert.equal(editRegionLock(LOCK, first, pins.slice(0, cut).reverse()).text, once);
      assert.equal(editRegionLock(LOCK, once, pins).text, once);
      assert.deepEqual(devicesIn(once), Object.fromEntries(ids.map((each) => [each, pinned(each)])));
    }),
  );
});

test("a key that somebody else wrote meanwhile is not overwritten", () => {
  const theirs = { hostKey: "ssh-ed25519 AAAA" };
  const text = editRegionLock(LOCK, undefined, [{ id: "a", pinned: theirs, before: undefined }]).text;
  const { text: after, conflicts } = editRegionLock(LOCK, text, [pin("a"), pin("b")]);
  assert.deepEqual(
    [...conflicts],
    [["a", "hostKey was changed in stacks/tokyo.lock.yaml meanwhile - look at the entry and enroll again"]],
  );
  assert.deepEqual(devicesIn(after), { a: theirs, b: pinned("b") });
  assert.deepEqual(devicesIn(editRegionLock(LOCK, text, [pin("a", theirs)]).text), { a: pinned("a") });
});

test("entries are dropped by name alone", () => {
  const { text } = editRegionLock(LOCK, undefined, [pin("a"), pin("b")]);
  assert.deepEqual(devicesIn(editRegionLock(LOCK, text, [], ["b", "unknown"]).text), { a: pinned("a") });
});

test("a lock that is none is named with its place and left alone", (context) => {
  const file = join(temporaryDirectory(context), "tokyo.lock.yaml");
  writeFileSync(file, "devices:\n  a: {hostKey: nonsense}\n");
  const edit = (text: string | undefined) => editRegionLock({ file, region: "tokyo" }, text, [pin("a")]).text;
  assert.throws(() => rewriteFile(file, edit), /tokyo\.lock\.yaml:2:16 devices\.a\.hostKey: is not an OpenSSH/);
  assert.equal(readFileSync(file, "utf8"), "devices:\n  a: {hostKey: nonsense}\n");
});

test("what is written is what the inventory loads, for inline and for CSV devices", (context) => {
  const directory = writeInventory(context, {
    "tokyo.yaml": "region: tokyo\ndevicesFrom: tokyo.csv\ndevices:\n  - { id: a, host: h1, model: box }\n",
    "tokyo.csv": "id,host,model\nc,h3,box\nd,h4,box\n",
  });
  const region = () => loadInventory(directory).regions.get("tokyo");
  const file = region()?.lock.file ?? "";
  rewriteFile(file, (text) => editRegionLock({ file, region: "tokyo" }, text, [pin("c"), pin("a")]).text);
  const found = region()?.devices.map(({ entry: { id, hostKey, identityKey, facts } }) => [
    id,
    hostKey === undefined ? undefined : { hostKey, identityKey, facts },
  ]);
  assert.deepEqual(found, [
    ["a", pinned("a")],
    ["c", pinned("c")],
    ["d", undefined],
  ]);
});

test("an edit by somebody else between reading and replacing survives", (context) => {
  const file = join(temporaryDirectory(context), "tokyo.yaml");
  writeFileSync(file, "old\n");
  chmodSync(file, 0o640);
  let reads = 0;
  rewriteFile(file, (text) => {
    reads += 1;
    if (reads === 1) writeFileSync(file, `${text}added meanwhile\n`);
    return `${text}ours\n`;
  });
  assert.equal(readFileSync(file, "utf8"), "old\nadded meanwhile\nours\n");
  assert.equal(reads, 2);
  assert.equal(statSync(file).mode & 0o777, 0o640);
});

test("a file that somebody else makes meanwhile is not overwritten", (context) => {
  const directory = temporaryDirectory(context);
  const file = join(directory, "tokyo.lock.yaml");
  let reads = 0;
  rewriteFile(file, (text = "") => {
    reads += 1;
    if (reads === 1) writeFileSync(file, "theirs\n");
    return `${text}ours\n`;
  });
  assert.deepEqual([readFileSync(file, "utf8"), reads], ["theirs\nours\n", 2]);
  assert.deepEqual(readdirSync(directory), ["tokyo.lock.yaml"]);
});

test("a file behind a symbolic link is replaced, the link stays, and no temporary file is left", (context) => {
  const directory = temporaryDirectory(context);
  mkdirSync(join(directory, "real"));
  writeFileSync(join(directory, "real", "tokyo.yaml"), "old\n");
  symlinkSync("real/tokyo.yaml", join(directory, "tokyo.yaml"));
  rewriteFile(join(directory, "tokyo.yaml"), (text) => `${text}new\n`);
  assert.equal(readFileSync(join(directory, "real", "tokyo.yaml"), "utf8"), "old\nnew\n");
  assert.deepEqual(readdirSync(directory).sort(), ["real", "tokyo.yaml"]);
  assert.deepEqual(readdirSync(join(directory, "real")), ["tokyo.yaml"]);
});

test("bytes that are not UTF-8 are refused with their place, and stay", (context) => {
  const file = join(temporaryDirectory(context), "tokyo.csv");
  const bytes = Buffer.from("id,host\nm\u00fcnchen,h\n", "latin1");
  writeFileSync(file, bytes);
  assert.throws(() => rewriteFile(file, (text) => `${text}x\n`), /tokyo\.csv:2:2 \(file\): is not UTF-8 from here on/);
  assert.deepEqual(readFileSync(file), bytes);
});
