import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, generateKeyPairSync } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { decideKey, isSigned, keyConflict, parseKey, parseSignature } from "../../../cli/lock/sources/signature.ts";
import { loadInventory } from "../../../components/inventory/index.ts";
import { imagesOf } from "./argocd-release.ts";
import { edgeFleet } from "./command.ts";
import { serve } from "./http-server.ts";
import { writeInventory } from "./inventory.ts";
import { signingKey } from "./signing-key.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const KEY = signingKey();
const OTHER = signingKey();
const OLD = "v1.36.2+k0s.0";
const NEW = "v1.36.3+k0s.2";
const FLEET = `fleet: acme
git: { url: "https://git.example.com/fleet.git" }
rings: [canary]
ring: canary
distribution: k0s
k0s: { version: ${NEW} }
hub: { argocd: { version: v3.2.0 } }
gitops: { engine: none }
`;
const ARGOCD = `argocd:
  v3.2.0:
    crds:
${["application-crd", "applicationset-crd", "appproject-crd"]
  .map((name) => `      - { url: argocd/${name}.yaml, sha256: ${sha256("kind: X\n")} }\n`)
  .join("")}    controlPlane: { url: argocd/namespace-install.yaml, sha256: ${sha256("kind: X\n")} }
    images: ${JSON.stringify(imagesOf("quay.io", "v3.2.0"))}
`;

/** A K0s release of one binary, by path. */
function release(version: string, key = KEY, binary = `k0s ${version}`): Record<string, string> {
  const path = `/k0s/${version}/k0s-${version}-amd64`;
  return {
    [`/k0s/${version}/sha256sums.txt`]: `${sha256(binary)} *k0s-${version}-amd64\n`,
    [`/k0s/${version}/cosign.pub`]: key.pem,
    [path]: binary,
    [`${path}.sig`]: key.sign(binary),
  };
}

const BINARY = `/k0s/${NEW}/k0s-${NEW}-amd64`;
const PUBLIC_KEY = `/k0s/${NEW}/cosign.pub`;

/** Upstream with the files, and a fleet whose devices use the versions. */
async function lab(
  context: TestContext,
  {
    files = release(NEW),
    versions = [NEW],
    more = "",
  }: { files?: Record<string, string>; versions?: string[]; more?: string },
) {
  const server = await serve(context, (request, response) => {
    const path = decodeURIComponent(request.url ?? "");
    const content = path.startsWith("/argocd/") ? "kind: X\n" : files[path];
    response.writeHead(content === undefined ? 404 : 200).end(request.method === "HEAD" ? undefined : content);
  });
  const devices = versions.map(
    (version, index) => `  - { id: d${index}, host: h${index}, model: nuc, k0s: { version: ${version} } }\n`,
  );
  const stacks = writeInventory(context, {
    "fleet.yaml": FLEET,
    "models.yaml": "nuc: { architecture: amd64, memory: 8Gi }\n",
    "tokyo.yaml": `region: tokyo\ndevices:\n${devices.join("")}`,
    "artifacts.lock.yaml": `${more}${ARGOCD}`,
  });
  const cache = join(stacks, "..", "cache");
  const bases = ["--k0s-base", `${server.url}/k0s`, "--argocd-base", `${server.url}/argocd`];
  return {
    server,
    stacks,
    files,
    cache,
    lock: (...args: string[]) => edgeFleet(["lock", "--inventory", stacks, "--cache", cache, ...bases, ...args]),
    locked: () => loadInventory(stacks).artifacts,
    text: () => readFileSync(join(stacks, "artifacts.lock.yaml"), "utf8"),
    gets: (path: string) => server.requests.filter((line) => decodeURIComponent(line) === `GET ${path}`).length,
  };
}

const pinned = (key: string): string => `# Compared by two people.\nk0sKey: ${key} # of 2026\n`;

test("the key of the first K0s release is pinned and shown, and a locked binary is not downloaded again", async (context) => {
  const { lock, locked, text, gets, server, cache } = await lab(context, {});
  const { exitCode, stdout, stderr } = await lock();
  assert.deepEqual([exitCode, stderr], [0, ""]);
  assert.ok(stdout.includes(`K0s signing key ${KEY.sha256} (${server.url}`), stdout);
  assert.match(stdout, /cosign\.pub\), trusted on first use: no key was pinned - compare it with what K0s publishes\n/);
  assert.equal(locked().k0sKey, KEY.sha256);
  assert.equal(locked().k0s?.[NEW]?.amd64?.sha256, sha256(`k0s ${NEW}`));
  assert.equal(readFileSync(join(cache, sha256(`k0s ${NEW}`)), "utf8"), `k0s ${NEW}`, "push finds it there");

  const before = text();
  const again = await lock();
  assert.equal(again.exitCode, 0);
  assert.doesNotMatch(again.stdout, /signing key/);
  assert.equal(text(), before);
  assert.deepEqual([gets(BINARY), gets(PUBLIC_KEY), gets(`${BINARY}.sig`)], [1, 1, 1]);
});

test("a release that the pinned key signs is locked without a word, and --check asks nobody", async (context) => {
  const { lock, text, locked, server } = await lab(context, { more: pinned(KEY.sha256) });
  assert.equal((await lock("--check")).exitCode, 1);
  assert.deepEqual(server.requests, []);
  const { exitCode, stdout } = await lock();
  assert.equal(exitCode, 0);
  assert.doesNotMatch(stdout, /signing key/);
  assert.ok(locked().k0s?.[NEW]?.amd64);
  assert.ok(text().startsWith(pinned(KEY.sha256)), text());
  assert.equal((await lock("--check")).exitCode, 0);
});

test("another key than the pinned one is refused before anything large is fetched, until it is accepted", async (context) => {
  const { lock, text, locked, gets } = await lab(context, { more: pinned(OTHER.sha256) });
  const before = text();
  const { exitCode, stderr } = await lock();
  assert.equal(exitCode, 1);
  assert.match(stderr, /^error: k0s\.v1\.36\.3\+k0s\.2\.amd64: http:\S+\/cosign\.pub: is key /m);
  assert.ok(stderr.includes(`is key ${KEY.sha256}, but k0sKey pins ${OTHER.sha256} - `), stderr);
  assert.match(stderr, /find out why, then use --accept-changed/);
  assert.deepEqual([text(), gets(BINARY)], [before, 0]);

  const accepted = await lock("--accept-changed", "--json");
  assert.equal(accepted.exitCode, 0);
  const { notes } = JSON.parse(accepted.stdout) as { notes: string[] };
  assert.equal(notes.length, 1);
  assert.ok(notes[0]?.includes(`${KEY.sha256} (`) && notes[0].includes(`in place of ${OTHER.sha256}`), accepted.stdout);
  assert.equal(locked().k0sKey, KEY.sha256);
  assert.match(text(), /# Compared by two people\.\nk0sKey: [0-9a-f]{64} # of 2026\n/);
});

const lies: [name: string, lie: (files: Record<string, string>) => void, message: RegExp][] = [
  ["no signature", (files) => delete files[`${BINARY}.sig`], /-amd64\.sig: HTTP 404 .*locked only with its signature/],
  ["no key", (files) => delete files[PUBLIC_KEY], /cosign\.pub: HTTP 404 .*locked only with its signature/],
  [
    "a signature of other bytes",
    (files) => Object.assign(files, { [`${BINARY}.sig`]: KEY.sign("other bytes") }),
    /amd64: is not signed by key [0-9a-f]{64} - do not use these bytes/,
  ],
  [
    "a signature by another key",
    (files) => Object.assign(files, { [`${BINARY}.sig`]: OTHER.sign(`k0s ${NEW}`) }),
    /is not signed by key /,
  ],
  [
    "a web page as signature",
    (files) => Object.assign(files, { [`${BINARY}.sig`]: "<html>" }),
    /is no signature in base64/,
  ],
  ["a web page as key", (files) => Object.assign(files, { [PUBLIC_KEY]: "<html>" }), /is no public key in PEM/],
  [
    "other bytes, signed, than the list says",
    (files) => Object.assign(files, { [BINARY]: "evil", [`${BINARY}.sig`]: KEY.sign("evil") }),
    /has SHA-256 [0-9a-f]{64}, http:\S+sha256sums\.txt says [0-9a-f]{64} - use another base URL/,
  ],
  [
    "other bytes, listed, than are signed",
    (files) => Object.assign(files, { ...release(NEW, KEY, "evil"), [`${BINARY}.sig`]: KEY.sign(`k0s ${NEW}`) }),
    /is not signed by key /,
  ],
];

for (const [name, lie, message] of lies)
  for (const args of [[], ["--accept-changed"]])
    test(`a K0s release with ${name} is refused${args.length > 0 ? ", also with --accept-changed" : ""}`, async (context) => {
      const { lock, files, text } = await lab(context, {});
      lie(files);
      const { exitCode, stderr } = await lock(...args);
      assert.equal(exitCode, 1);
      assert.match(stderr, message);
      assert.equal(text(), ARGOCD);
    });

test("a hash that is replaced with --accept-changed needs a signature as well", async (context) => {
  const old = `k0s: { ${NEW}: { amd64: { url: "https://example.com/k0s", sha256: ${"e".repeat(64)} } } }\n`;
  const { lock, files, text, locked, gets } = await lab(context, { more: old + pinned(KEY.sha256) });
  const before = text();
  assert.match((await lock()).stderr, /locked is e{64}, but /);
  assert.equal(gets(BINARY), 0, "a refusal costs no download");
  const right = files[`${BINARY}.sig`];
  files[`${BINARY}.sig`] = OTHER.sign(`k0s ${NEW}`);
  assert.match((await lock("--accept-changed")).stderr, /is not signed by key /);
  assert.equal(text(), before);
  files[`${BINARY}.sig`] = `${right}\n`;
  assert.equal((await lock("--accept-changed")).exitCode, 0);
  assert.equal(locked().k0s?.[NEW]?.amd64?.sha256, sha256(`k0s ${NEW}`));
});

test("two releases of one run that are signed by two keys are refused, and one by one they are not", async (context) => {
  const files = { ...release(OLD, OTHER), ...release(NEW, KEY) };
  const { lock, text, locked, stacks } = await lab(context, { files, versions: [OLD, NEW] });
  const { exitCode, stderr } = await lock();
  assert.equal(exitCode, 1);
  assert.match(stderr, /^error: k0s\.v1\.36\.3\+k0s\.2\.amd64: is signed by key .*lock one release at a time/m);
  assert.equal(text(), ARGOCD);

  const region = join(stacks, "tokyo.yaml");
  const both = readFileSync(region, "utf8");
  writeFileSync(region, both.replace(/^.* id: d1, .*\n/m, ""));
  assert.equal((await lock()).exitCode, 0);
  assert.equal(locked().k0sKey, OTHER.sha256);
  writeFileSync(region, both);
  assert.match((await lock()).stderr, /but k0sKey pins /);
  assert.equal((await lock("--accept-changed")).exitCode, 0);
  assert.deepEqual([locked().k0sKey, Object.keys(locked().k0s ?? {}).sort()], [KEY.sha256, [OLD, NEW]]);
});

test("a broken binary in the cache is fetched anew, a whole one is not", async (context) => {
  for (const [content, count] of [
    ["broken", 1],
    [`k0s ${NEW}`, 0],
  ] as const) {
    const { lock, cache, gets } = await lab(context, {});
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, sha256(`k0s ${NEW}`)), content);
    assert.equal((await lock()).exitCode, 0);
    assert.deepEqual([gets(BINARY), readFileSync(join(cache, sha256(`k0s ${NEW}`)), "utf8")], [count, `k0s ${NEW}`]);
  }
});

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).publicKey.export({ type: "spki", format: "pem" });
const badKeys: [name: string, pem: string, message: RegExp][] = [
  ["a private key", KEY.privatePem, /is no public key in PEM/],
  ["two keys", KEY.pem + OTHER.pem, /is no public key in PEM/],
  ["an RSA key", rsa.toString(), /is no ECDSA P-256 key/],
  ["a key on another curve", signingKey("P-384").pem, /is no ECDSA P-256 key/],
  ["a frame around nothing", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", /is no ECDSA P-256 key/],
];

for (const [name, pem, message] of badKeys)
  test(`${name} is no key to check by`, () => assert.throws(() => parseKey(Buffer.from(pem), "https://x/k"), message));

test("the hash of a key is that of its file, as sha256sum prints it", () =>
  assert.equal(parseKey(Buffer.from(`${KEY.pem}\n`), "u").sha256, sha256(`${KEY.pem}\n`)));

test("bytes that are no DER signature sign nothing", async () => {
  const key = parseKey(Buffer.from(KEY.pem), "u");
  for (const text of ["AAAA", Buffer.alloc(72, 7).toString("base64"), KEY.sign("a").slice(0, 40)])
    assert.equal(await isSigned(key, parseSignature(text, "u"), [Buffer.from("a")]), false, text);
});

test("a file that comes in pieces is judged whole", async () => {
  const key = parseKey(Buffer.from(KEY.pem), "u");
  const signature = parseSignature(`${KEY.sign("abc")}\n`, "u");
  assert.equal(
    await isSigned(
      key,
      signature,
      ["a", "bc"].map((text) => Buffer.from(text)),
    ),
    true,
  );
  assert.equal(
    await isSigned(
      key,
      signature,
      ["a", "b"].map((text) => Buffer.from(text)),
    ),
    false,
  );
});

for (const text of ["", "not base64!", "YWJ", "YWJj\nYWJj", "YQ==YQ=="])
  test(`${JSON.stringify(text)} is no signature`, () =>
    assert.throws(
      () => parseSignature(text, "https://x/k.sig"),
      /^Error: https:\/\/x\/k\.sig: is no signature in base64/,
    ));

test("a signature that openssl makes, which is cosign's format, is accepted", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-signature-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const openssl = (...args: string[]) => execFileSync("openssl", args, { cwd: folder, stdio: "pipe" });
  writeFileSync(join(folder, "blob"), "the binary");
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "key");
  openssl("ec", "-in", "key", "-pubout", "-out", "cosign.pub");
  const der = openssl("dgst", "-sha256", "-sign", "key", "blob");
  assert.ok(existsSync(join(folder, "cosign.pub")));
  const key = parseKey(readFileSync(join(folder, "cosign.pub")), "u");
  const signature = parseSignature(der.toString("base64"), "u");
  assert.equal(await isSigned(key, signature, [Buffer.from("the binary")]), true);
  assert.equal(await isSigned(key, signature, [Buffer.from("the binarY")]), false);
});

test("a pinned key needs nothing, and entries without keys do not conflict", () => {
  assert.deepEqual(decideKey("a", { key: "u", pinned: "a", field: "k0sKey", signer: "K0s" }, false), { scalars: [] });
  const key = (value: string) => [{ path: ["k0sKey"], value }];
  assert.equal(keyConflict([]), undefined);
  const revision = { path: ["microk8s", "revision"], value: 1 };
  const entries = [
    { field: "m", scalars: [revision] },
    { field: "a", scalars: key("x") },
    { field: "b", scalars: key("x") },
  ];
  assert.equal(keyConflict(entries), undefined);
  assert.match(
    keyConflict([...entries, { field: "c", scalars: key("y") }]) ?? "",
    /^c: is signed by key y, but a by x - /,
  );
});
