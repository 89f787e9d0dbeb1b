/** `edge-fleet seal` without a controller: what it takes, what it prints, and that a secret is in nothing that it says. */
import assert from "node:assert/strict";
import { constants, createDecipheriv, privateDecrypt } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import fc from "fast-check";
import { parse } from "yaml";
import { editRegionLock } from "../../../cli/inventory-edit/lock.ts";
import { type RunResult, runProgram } from "../../../cli/process.ts";
import { encryptValue } from "../../../cli/seal/encrypt.ts";
import {
  makeSealingPair,
  sealingKeyName,
  sealingPublicKey,
  sealingSecretKey,
} from "../../../components/identity/sealing.ts";
import { loadInventory, resolveProfile } from "../../../components/inventory/index.ts";
import { renderRegionLock } from "../../../components/inventory/lock.ts";
import { MAIN } from "./command.ts";
import { temporaryDirectory, writeInventory } from "./inventory.ts";

const PAIR = makeSealingPair("tokyo", new Date(0));
const MODEL = makeSealingPair("tokyo", new Date(0));

/** As pkg/crypto/crypto.go of Sealed Secrets v0.40.0 decrypts: singleDecrypt. */
function decrypt(key: string, ciphertext: Buffer, label: string): string {
  const length = ciphertext.readUInt16BE(0);
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const oaep = { key, padding, oaepHash: "sha256", oaepLabel: Buffer.from(label) };
  const session = privateDecrypt(oaep, ciphertext.subarray(2, 2 + length));
  const decipher = createDecipheriv("aes-256-gcm", session, Buffer.alloc(12));
  decipher.setAuthTag(ciphertext.subarray(-16));
  return Buffer.concat([decipher.update(ciphertext.subarray(2 + length, -16)), decipher.final()]).toString("latin1");
}

const opened = (value: string, label: string, { key } = PAIR): string =>
  decrypt(key, Buffer.from(value, "base64"), label);

test("what is encrypted is decrypted under its label alone, and is never the same twice", () => {
  const publicKey = sealingPublicKey(PAIR.certificate);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 4000 }),
      fc.string({ maxLength: 300 }),
      fc.string(),
      (value, label, other) => {
        const sealed = encryptValue(publicKey, value, label);
        assert.equal(sealed.length, 2 + 512 + value.length + 16);
        assert.equal(decrypt(PAIR.key, sealed, label), Buffer.from(value).toString("latin1"));
        assert.notDeepEqual(encryptValue(publicKey, value, label), sealed);
        if (other !== label) assert.throws(() => decrypt(PAIR.key, sealed, other));
      },
    ),
    { numRuns: 40 },
  );
});

const FILES = {
  "tokyo.yaml": `region: tokyo
gitops: { secrets: sealed-secrets }
devices:
  - { id: a, host: h, model: box }
  - { id: b, host: i, model: other }
`,
  "osaka.yaml": "region: osaka\ndevices: [{ id: c, host: j, model: box }]\n",
  "tokyo.lock.yaml": renderRegionLock("tokyo", new Map(), {}, [
    { for: "model/box", certificate: MODEL.certificate },
    { for: "region", certificate: PAIR.certificate },
  ]),
};

interface Run {
  readonly stacks: string;
  readonly folder: string;
  seal(args: readonly string[], stdin?: string): Promise<RunResult>;
}

/** Stands in for `pulumi config set`: keeps what it is given, by the stack; as pulumi does it drops the last newline. */
const PULUMI = `#!/bin/sh
[ "$1 $2 $3" = "config set --secret" ] && [ "$5" = --stack ] || exit 64
[ ! -e "$FOLDER/locked" ] || { echo "error: no passphrase" >&2; exit 255; }
echo "$*" >>"$FOLDER/arguments"
cat >"$FOLDER/$6.$4"
`;

function lab(context: TestContext, files: Readonly<Record<string, string>> = FILES): Run {
  const stacks = writeInventory(context, files);
  const folder = temporaryDirectory(context);
  mkdirSync(join(folder, "bin"));
  writeFileSync(join(folder, "bin", "pulumi"), PULUMI, { mode: 0o755 });
  const environment = { PATH: `${join(folder, "bin")}:${process.env.PATH}`, FOLDER: folder };
  const seal = (args: readonly string[], stdin = "") =>
    runProgram(process.execPath, [MAIN, "seal", "--inventory", stacks, ...args], {
      environment,
      stdin,
      timeoutMs: 60_000,
    });
  return { stacks, folder, seal };
}

const MANIFEST = `apiVersion: v1
kind: Secret
metadata:
  name: app
  labels: { team: blue }
  annotations:
    note: kept
    kubectl.kubernetes.io/last-applied-configuration: '{"stringData":{"a":"hunter2"}}'
type: example.com/app
immutable: true
data: { b: aHVudGVyMg== }
stringData: { a: hunter2 }
`;

test("a Secret becomes a SealedSecret with the same face and values that the key alone opens", async (context) => {
  const { exitCode, stdout, stderr } = await lab(context).seal(["tokyo"], MANIFEST);
  assert.equal(exitCode, 0, stderr);
  assert.equal(stderr, "");
  assert.ok(!stdout.includes("hunter2") && !stdout.includes("aHVudGVyMg"));
  const { metadata, spec, ...rest } = parse(stdout);
  assert.deepEqual(rest, { apiVersion: "bitnami.com/v1alpha1", kind: "SealedSecret" });
  const place = { name: "app", namespace: "edge-apps" };
  assert.deepEqual(metadata, {
    ...place,
    annotations: { "edge-fleet.dev/sealing-key": sealingKeyName(PAIR.certificate) },
  });
  assert.deepEqual(spec.template, {
    metadata: { ...place, labels: { team: "blue" }, annotations: { note: "kept" } },
    type: "example.com/app",
    immutable: true,
  });
  assert.deepEqual(
    Object.entries<string>(spec.encryptedData).map(([key, value]) => [key, opened(value, "edge-apps/app")]),
    [
      ["a", "hunter2"],
      ["b", "hunter2"],
    ],
  );
});

for (const [scope, label, annotations] of [
  ["strict", "web/app", {}],
  ["namespace-wide", "web", { "sealedsecrets.bitnami.com/namespace-wide": "true" }],
  ["cluster-wide", "", { "sealedsecrets.bitnami.com/cluster-wide": "true" }],
] as const)
  test(`scope ${scope} binds to ${label || "nothing"}, and says so where the controller looks`, async (context) => {
    const secret = join(temporaryDirectory(context), "value");
    writeFileSync(secret, Buffer.from([0, 255, 10]));
    const args = ["tokyo", "--from-file", `a=${secret}`, "--name", "app", "-n", "web", "--scope", scope];
    const { stdout, stderr } = await lab(context).seal(args);
    const { metadata, spec } = parse(stdout);
    assert.equal(opened(spec.encryptedData.a, label), "\u0000ÿ\n", stderr);
    const key = { "edge-fleet.dev/sealing-key": sealingKeyName(PAIR.certificate) };
    assert.deepEqual(metadata.annotations, { ...key, ...annotations });
    assert.deepEqual(spec.template.metadata.annotations ?? {}, annotations);
  });

test("a model's key seals for the model, and a region without a key or devices that open it is told", async (context) => {
  const { seal } = lab(context);
  const { stdout } = await seal(["tokyo", "--model", "box"], MANIFEST);
  assert.equal(opened(parse(stdout).spec.encryptedData.a, "edge-apps/app", MODEL), "hunter2");
  const without = await seal(["osaka"], MANIFEST);
  assert.equal(without.exitCode, 2);
  assert.match(
    without.stderr,
    /osaka\.lock\.yaml has no sealing key for region - run edge-fleet seal osaka --new-key\n$/,
  );
});

const secret = (changes: object): string =>
  JSON.stringify({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: "app" },
    stringData: { a: "hunter2" },
    ...changes,
  });

for (const [what, args, stdin, message] of [
  ["no Secret", ["tokyo"], "kind: ConfigMap\napiVersion: v1\n", "(stdin): is no Secret of v1 - give one Secret"],
  ["nothing", ["tokyo"], "", "(stdin): holds no object - give one Secret"],
  ["two objects", ["tokyo"], `${secret({})}\n---\n${secret({})}`, "(stdin): has 2 objects - give one Secret at a time"],
  ["no YAML", ["tokyo"], 'a: "hunter2\nb: [', "(stdin):2:"],
  [
    "a value that is no text",
    ["tokyo"],
    secret({ stringData: { a: 1 } }),
    "stringData.a is no text - put it in quotes",
  ],
  ["a value that is no base64", ["tokyo"], secret({ data: { a: "hunter2!" } }), "data.a is not base64 - encode it"],
  ["no name", ["tokyo"], secret({ metadata: {} }), "metadata.name is missing - write it, or use --name"],
  ["a name that is none", ["tokyo"], secret({ metadata: { name: "App" } }), "App is no name of a Secret"],
  ["another name", ["tokyo", "--name", "b"], secret({}), "metadata.name is app, and --name b - leave one out"],
  ["a namespace that is none", ["tokyo", "-n", "A"], secret({}), "A is no namespace"],
  ["a key that is none", ["tokyo"], secret({ stringData: { "a b": "hunter2" } }), '"a b" is no key of a Secret'],
  ["no values", ["tokyo"], secret({ stringData: {} }), "has no values - write data or stringData"],
  ["an unknown region", ["kyoto"], secret({}), "has no region kyoto - use one of osaka, tokyo"],
  ["a foreign device", ["tokyo", "--device", "c"], secret({}), "region tokyo has no device c - use an id of its file"],
  ["a foreign model", ["osaka", "--model", "other"], secret({}), "has no device of model other - use one of box"],
  ["a file that is none", ["tokyo", "--from-file", "hunter2"], "", "--from-file is not <key>=<path> - write e.g."],
  ["a file that is not there", ["tokyo", "--from-file", "a=/none", "--name", "b"], "", "--from-file a: ENOENT"],
  ["files and a manifest", ["tokyo", "--file", "x", "--from-file", "a=b"], "", "--file and --from-file are both there"],
] as const)
  test(`${what} is refused with the fix, and no value is said`, async (context) => {
    const { exitCode, stdout, stderr } = await lab(context).seal(args, stdin);
    assert.deepEqual([exitCode, stdout], [2, ""]);
    assert.ok(stderr.includes(message), stderr);
    assert.ok(!stderr.includes("hunter2"), stderr);
  });

test("a new key goes to the stack by stdin and its certificate into the lock, in front of those before and beside the pins", async (context) => {
  const { stacks, folder, seal } = lab(context);
  const lock = join(stacks, "tokyo.lock.yaml");
  const pinned = { hostKey: "ssh-ed25519 AAAA" };
  writeFileSync(
    lock,
    editRegionLock({ file: lock, region: "tokyo" }, readFileSync(lock, "utf8"), [
      { id: "a", pinned, before: undefined },
    ]).text,
  );
  const { exitCode, stdout, stderr } = await seal(["tokyo", "--new-key", "--stack", "tokyo"]);
  assert.equal(exitCode, 0, stderr);
  const { sealing = [], devices } = loadInventory(stacks).regions.get("tokyo")?.lock ?? {};
  const [first] = sealing;
  assert.deepEqual(
    sealing.map((key) => key.for),
    ["region", "model/box", "region"],
  );
  assert.deepEqual(devices?.a, pinned);
  const name = `edge-fleet:${sealingSecretKey(first?.certificate ?? "")}`;
  assert.ok(stdout.includes(`the secret ${name} of stack tokyo\n`));
  const key = readFileSync(join(folder, `tokyo.${name}`), "utf8");
  const sealed = await seal(["tokyo"], MANIFEST);
  assert.equal(opened(parse(sealed.stdout).spec.encryptedData.a, "edge-apps/app", { key, certificate: "" }), "hunter2");
  assert.equal(
    readFileSync(join(folder, "arguments"), "utf8"),
    `config set --secret ${name} --stack tokyo --non-interactive\n`,
  );
  assert.ok(!`${stdout}${stderr}`.includes("PRIVATE KEY"));
  assert.equal(statSync(lock).mode & 0o777, 0o644);
});

test("where Pulumi does not take the secret, the lock stays as it was", async (context) => {
  const { stacks, folder, seal } = lab(context);
  writeFileSync(join(folder, "locked"), "");
  const { exitCode, stderr } = await seal(["osaka", "--new-key"]);
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    /^error: pulumi config set edge-fleet:sealingKey-[0-9a-f]{12} --stack osaka: error: no passphrase\n$/,
  );
  assert.ok(!existsSync(join(stacks, "osaka.lock.yaml")));
});

test("each device gets the keys of its region, its model and its own, the newest first", async (context) => {
  const { stacks, seal } = lab(context);
  await seal(["tokyo", "--device", "b", "--new-key"]);
  await seal(["tokyo", "--new-key"]);
  const inventory = loadInventory(stacks);
  const { sealing = [] } = inventory.regions.get("tokyo")?.lock ?? {};
  const scopes = (id: string) =>
    resolveProfile(inventory, id).sealing.map(
      (certificate) => sealing.find((key) => key.certificate === certificate)?.for,
    );
  assert.deepEqual(scopes("a"), ["region", "model/box", "region"]);
  assert.deepEqual(scopes("b"), ["region", "device/b", "region"]);
  assert.deepEqual(scopes("c"), []);
  const { stdout } = await seal(["tokyo", "--forget-old-keys"]);
  assert.equal(
    stdout,
    `tokyo: region had 1 older sealing key(s)\nNext: pulumi config rm edge-fleet:${sealingSecretKey(PAIR.certificate)} --stack tokyo\n`,
  );
  const left = loadInventory(stacks).regions.get("tokyo")?.lock.sealing ?? [];
  assert.deepEqual(
    left.map((key) => key.for),
    ["region", "device/b", "model/box"],
  );
});

test("a scope or certificate in the lock that is none is told at its place", (context) => {
  const lock = `devices: {}\nsealing:\n  - { for: models/box, certificate: none }\n`;
  const stacks = writeInventory(context, { ...FILES, "tokyo.lock.yaml": lock });
  assert.throws(
    () => loadInventory(stacks),
    /tokyo\.lock\.yaml:3:\d+ sealing\[0\]\.for: is none of region, .*\n.*tokyo\.lock\.yaml:3:\d+ sealing\[0\]\.certificate: is not a PEM certificate/,
  );
});
