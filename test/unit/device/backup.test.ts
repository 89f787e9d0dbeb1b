import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import type { BackupPush, Profile } from "../../../components/inventory/types.ts";
import {
  backupFiles,
  backupSecretKeys,
  backupUrl,
  checkBackup,
  curlConfiguration,
} from "../../../components/plan/backup.ts";
import { regionSecretKeys } from "../../../components/plan/contexts.ts";
import { describeFinding } from "../../../components/plan/distributions/finding.ts";
import { placeholderSecrets, secretKeys } from "../../../components/plan/distributions/secrets.ts";
import { payloadText, renderPayload } from "../../../components/plan/payload.ts";
import { assertGolden } from "../../golden.ts";
import { makeKeyPair, makeRecipient } from "../../lab/standins/upload-server.ts";
import { buildProfile, LOCK, MODELS } from "./profile.ts";

/** Fixed, so that the golden file is. */
const RECIPIENT = `-----BEGIN CERTIFICATE-----
MIIBkTCCATegAwIBAgIUdcQhfjyEGsJZkmjkRwHkTZtTm1UwCgYIKoZIzj0EAwIw
HTEbMBkGA1UEAwwSZWRnZS1mbGVldCBiYWNrdXBzMCAXDTI2MTEyNTAzNDI1N1oY
DzIxMjYxMTAxMDM0MjU3WjAdMRswGQYDVQQDDBJlZGdlLWZsZWV0IGJhY2t1cHMw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARQtEudmTObkjkrSyAASGN4QxQ5f5v6
5MWI/xpVZbHz8aqHx502hWJa4zebNgF0Os9EHdXSoHUvFzMTf7n/IoMso1MwUTAd
BgNVHQ4EFgQUUeyArjO4Pa6tkICv2Bl8O0gTBkgwHwYDVR0jBBgwFoAUUeyArjO4
Pa6tkICv2Bl8O0gTBkgwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNIADBF
AiEA3mmQQ8FV9QtHdP1PldHog82zimmtpDGgASN90mxJtv8CIEa7NZu+UCyGgY+4
AyK/12vj95Bppf4yI2GcpHsnXogN
-----END CERTIFICATE-----
`;
const OWN = makeRecipient().certificate;
const PASSWORD = `p"a\\s's #word=1`;
const BASIC: BackupPush = { url: "https://b.example.com/edge", recipient: OWN, username: "u", passwordSecret: "b" };
const secrets = { b: PASSWORD };

const { k0s, microk8s } = buildProfile();
const K0S: Partial<Profile> = { distribution: "k0s", k0s: { ...k0s, version: "v1.36.3+k0s.2" } };
const MICROK8S: Partial<Profile> = { distribution: "microk8s", microk8s: { ...microk8s, version: "v1.36.2" } };
const ARTIFACT = { url: "https://example.com/file", sha256: "e".repeat(64), size: 1 };
const SNAP = { revision: 1, snap: ARTIFACT, assertions: ARTIFACT };
const OTHERS: ArtifactsLock = {
  k0s: { "v1.36.3+k0s.2": { amd64: ARTIFACT, arm64: ARTIFACT } },
  microk8s: { "v1.36.2": { amd64: SNAP, arm64: SNAP } },
};

function pushing(push: Partial<BackupPush>, changes: Partial<Profile> = {}): Profile {
  return buildProfile({ backup: { everyHours: 24, keep: 3, push: { ...BASIC, ...push } }, ...changes });
}

const without = (...names: (keyof BackupPush)[]) => Object.fromEntries(names.map((name) => [name, undefined]));

test("a device that sends its copies has two files more, whatever its distribution, and the place as a setting", () => {
  for (const changes of [{}, K0S, MICROK8S] satisfies Partial<Profile>[]) {
    const profile = pushing({}, changes);
    const plain = buildProfile(changes);
    const lock: ArtifactsLock = { ...LOCK, ...OTHERS };
    const payload = renderPayload(profile, lock, { secrets });
    const added = payloadText(payload)
      .split("\n")
      .filter((line) => !payloadText(renderPayload(plain, lock)).split("\n").includes(line));
    assert.match(payload.secretFiles, /^file 0600 live \/etc\/edge-fleet\/backup\/curl\.conf \d+$/m);
    assert.ok(added.includes("set BACKUP_URL https://b.example.com/edge/tokyo/edge-0001"));
    assert.deepEqual(
      added.filter((line) => line.startsWith("file ")).map((line) => line.replace(/ \d+$/, "")),
      ["file 0644 live /etc/edge-fleet/backup/recipient.pem", "file 0600 live /etc/edge-fleet/backup/curl.conf"],
    );
  }
});

test("a device without push, without copies or without a datastore has neither files nor setting nor keys", () => {
  for (const profile of [
    buildProfile(),
    pushing({}, { backup: { everyHours: 24, keep: 0, push: BASIC } }),
    pushing({}, { joins: "edge-0002" }),
  ]) {
    assert.deepEqual([backupFiles(profile), backupUrl(profile), backupSecretKeys(profile)], [[], "", []]);
    assert.deepEqual(checkBackup(profile), []);
  }
});

test("the payload of a device that sends its copies is as reviewed", () => {
  const push = { url: "https://s3.eu-central-1.amazonaws.com/bucket/", recipient: RECIPIENT, s3Region: "eu-central-1" };
  const profile = pushing(push, MODELS["nuc-4g"]);
  assertGolden("device/nuc-4g-push.payload", payloadText(renderPayload(profile, LOCK, { secrets })));
});

test("a changed password or recipient is no restart, and the password is not in the hash", () => {
  const hash = (push: Partial<BackupPush>, password: string) =>
    renderPayload(pushing(push), LOCK, { secrets: { b: password } }).hash;
  assert.equal(hash({}, "one"), hash({}, "other"));
  assert.notEqual(hash({}, "one"), hash({ recipient: makeRecipient().certificate }, "one"));
});

test("the keys of a device and of its region include the one of its copies", () => {
  const profile = pushing({});
  assert.deepEqual(secretKeys(profile, false), ["b"]);
  assert.deepEqual(regionSecretKeys([buildProfile(), profile]), ["b"]);
  const shown = payloadText(renderPayload(profile, LOCK, { secrets: placeholderSecrets(profile, false) }));
  assert.match(shown, /^user = "u:secret-of-edge-fleet\.b"$/m);
});

for (const [name, push, given, message] of [
  ["no secret", {}, {}, "the stack has no secret b - run pulumi config set --secret edge-fleet:b"],
  ["an empty secret", {}, { b: "" }, "the stack has no secret b - run pulumi config set --secret edge-fleet:b"],
  [
    "a secret with a line break",
    {},
    { b: "x\ny" },
    "the secret b has a line break or another control character - run pulumi config set --secret edge-fleet:b",
  ],
  [
    "a secret that is no token, without a user",
    without("username"),
    { b: "pass word" },
    "the secret b is no bearer token, and without backup.push.username it is sent as one - run pulumi config set --secret edge-fleet:b",
  ],
] satisfies [string, Partial<BackupPush>, Record<string, string>, string][]) {
  test(`${name} is named with device, setting and the command that fixes it`, () => {
    assert.throws(() => backupFiles(pushing(push), given), {
      message: `device edge-0001: backup.push.passwordSecret: ${message}`,
    });
  });
}

const ED25519 = makeKeyPair("-newkey", "ed25519", "-subj", "/CN=x").certificate;
const SMALL = makeKeyPair("-newkey", "rsa:1024", "-subj", "/CN=x").certificate;
const RSA = makeKeyPair("-newkey", "rsa:2048", "-subj", "/CN=x").certificate;
for (const [name, push, findings] of [
  ["an EC key", {}, []],
  ["an RSA key", { recipient: RSA }, []],
  ["no log-in at all", without("username", "passwordSecret"), []],
  ["a port, a folder and slashes at the end", { url: "https://b.example.com:8443/a/b%20c//" }, []],
  ["a signing key", { recipient: ED25519 }, [/^backup\.push\.recipient: has a key of type ed25519/]],
  ["a short key", { recipient: SMALL }, [/^backup\.push\.recipient: has an RSA key of 1024 bits - use 2048/]],
  ["no certificate", { recipient: RECIPIENT.replace(/^MII.*$/m, "AAAA") }, [/^backup\.push\.recipient: is no X\.509/]],
  ["a certificate and a key", { recipient: `${OWN}${OWN}` }, [/^backup\.push\.recipient: is more than one/]],
  ["a user alone", without("passwordSecret"), [/^backup\.push\.passwordSecret: is missing beside username - set/]],
  ["S3 without an access key", { ...without("username"), s3Region: "eu-1" }, [/^backup\.push\.username: is missing/]],
  ["a user with a colon", { username: "a:b" }, [/^backup\.push\.username: has a colon/]],
  ["a password in the URL", { url: "https://u:p@b.example.com/" }, [/^backup\.push\.url: holds a user or a password/]],
  ["a query", { url: "https://b.example.com/?x=1" }, [/^backup\.push\.url: has a query/]],
  ["an empty query", { url: "https://b.example.com/?" }, [/^backup\.push\.url: has a query/]],
  ["a character that no device takes", { url: "https://b.example.com/a~b" }, [/^backup\.push\.url: has a character/]],
  ["a folder upwards", { url: "https://b.example.com/a/../b" }, [/^backup\.push\.url: has \. or \.\./]],
] satisfies [string, Partial<BackupPush>, RegExp[]][]) {
  test(`judged: ${name}`, () => {
    const profile = pushing(push);
    const texts = checkBackup(profile).map(describeFinding);
    assert.equal(texts.length, findings.length, texts.join());
    for (const [index, pattern] of findings.entries()) assert.match(texts[index] ?? "", pattern);
    const render = () => renderPayload(profile, LOCK, { secrets: { b: "token" } });
    if (findings.length > 0) assert.throws(render, /^Error: device edge-0001: backup\.push\./);
    else assert.match(render().body, /^set BACKUP_URL https:\/\/[^ ]*[^/]\/tokyo\/edge-0001$/m);
  });
}

describe("what curl reads of its configuration", () => {
  const requests: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    requests.push(request.headers);
    response.end();
  });
  const folder = mkdtempSync(join(tmpdir(), "edge-fleet-curl-"));
  before(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)));
  after(() => {
    server.close();
    rmSync(folder, { recursive: true });
  });

  const ask = async (configuration: string): Promise<string | undefined> => {
    writeFileSync(join(folder, "curl.conf"), configuration);
    const { port } = server.address() as AddressInfo;
    const child = spawn("curl", ["-q", "-sS", "-K", join(folder, "curl.conf"), `http://127.0.0.1:${port}/`]);
    const code = await new Promise((resolve) => child.once("close", resolve));
    assert.equal(code, 0, configuration);
    return requests.pop()?.authorization;
  };
  const push = (username: string | undefined): BackupPush => ({ ...BASIC, username });
  const printable = fc
    .string({ minLength: 1, maxLength: 40, unit: "grapheme" })
    .filter((text) => !/\p{Cc}/u.test(text));
  const hard = fc.string({
    minLength: 1,
    maxLength: 12,
    unit: fc.constantFrom(...`"\\'#= :;ntrv\t`.replace("\t", "")),
  });

  test("any user and password come out as they went in", async () => {
    const user = printable.filter((text) => !text.includes(":"));
    await fc.assert(
      fc.asyncProperty(user, fc.oneof(printable, hard), async (username, password) => {
        const expected = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
        assert.equal(await ask(curlConfiguration(push(username), password)), expected);
      }),
      { numRuns: 60 },
    );
  });

  test("a bearer token is sent as it is, and without a secret nothing is", async () => {
    assert.equal(await ask(curlConfiguration(push(undefined), "aZ0-._~+/==")), "Bearer aZ0-._~+/==");
    assert.equal(await ask(curlConfiguration(push(undefined), undefined)), undefined);
  });
});
