import assert from "node:assert/strict";
import { test } from "node:test";
import type { RegistryMirror } from "../../../components/inventory/types.ts";
import { describeFinding } from "../../../components/plan/distributions/finding.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { renderRegistries } from "../../../components/plan/distributions/k3s/registries.ts";
import { checkRegistries } from "../../../components/plan/distributions/registries.ts";
import { placeholderSecrets, secretKeys } from "../../../components/plan/distributions/secrets.ts";
import { fileOf, hasFile, PATHS, yamlOf } from "./plan-files.ts";
import { buildProfile } from "./profile.ts";

const PASSWORD = "s3cret-Of-The-Mirror";
const ACCOUNT = { username: "edge", passwordSecret: "mirror-password" };
const MIRROR: RegistryMirror = {
  endpoints: ["https://mirror.example.com:5000", "https://other.example.com"],
  ...ACCOUNT,
};
const OPEN: RegistryMirror = { endpoints: ["http://10.0.0.2"] };
const profile = buildProfile({ registries: { "docker.io": MIRROR, "*": OPEN } });
const secrets = { "mirror-password": PASSWORD };

test("without registries there is no file", () => {
  assert.equal(hasFile(renderDistribution(buildProfile()), PATHS.registries), false);
});

test("mirrors keep their order, and the account belongs to the first endpoint", () => {
  assert.deepEqual(yamlOf(renderDistribution(profile, { secrets }), PATHS.registries), {
    mirrors: { "*": { endpoint: OPEN.endpoints }, "docker.io": { endpoint: MIRROR.endpoints } },
    configs: { "mirror.example.com:5000": { auth: { username: "edge", password: PASSWORD } } },
  });
});

test("the key of an account is the endpoint's host as it is written, with the port that the scheme has anyway", () => {
  for (const [endpoint, key] of [
    ["https://mirror.example.com:443", "mirror.example.com:443"],
    ["https://Mirror.example.com:443/v2/hub", "Mirror.example.com:443"],
    ["http://10.0.0.2:80/", "10.0.0.2:80"],
    ["https://[fd00::2]:443", "[fd00::2]:443"],
    ["https://mirror.example.com", "mirror.example.com"],
  ] as const) {
    const registries = { "docker.io": { endpoints: [endpoint], ...ACCOUNT } };
    const plan = renderDistribution(buildProfile({ registries }), { secrets });
    const { configs } = yamlOf(plan, PATHS.registries) as { configs: object };
    assert.deepEqual(Object.keys(configs), [key]);
  }
});

test("only a file with a password is secret; every one is readable by root alone and read at a start", () => {
  const file = fileOf(renderDistribution(profile, { secrets }), PATHS.registries);
  assert.deepEqual(
    { mode: file.mode, live: file.live, secret: file.secret },
    { mode: "0600", live: false, secret: true },
  );
  const open = renderRegistries(buildProfile({ registries: { "*": OPEN } }));
  assert.equal(open?.mode, "0600");
  assert.equal(open?.secret, undefined);
});

test("the password is in no other file, label or warning of the plan", () => {
  const { files, ...rest } = renderDistribution(profile, { secrets });
  const texts = [...files.filter(({ secret }) => secret !== true), rest].map((value) => JSON.stringify(value));
  for (const text of texts) assert.equal(text.includes(PASSWORD), false);
});

for (const [name, given] of [
  ["no secrets", undefined],
  ["secrets of other names", { other: PASSWORD }],
  ["an empty secret", { "mirror-password": "" }],
] as const) {
  test(`${name}: the missing password is named with the command that sets it`, () => {
    assert.throws(() => renderDistribution(profile, given === undefined ? {} : { secrets: given }), {
      message:
        "device edge-0001: registries.docker.io.passwordSecret: the stack has no secret mirror-password - run pulumi config set --secret edge-fleet:mirror-password",
    });
  });
}

test("passwords with the characters of YAML come out as they went in", () => {
  for (const password of ["a: b # c", "- x", "'\"", "123", "true", "ä\\n{}[]&*!|>%@`"]) {
    const plan = renderDistribution(profile, { secrets: { "mirror-password": password } });
    const { configs } = yamlOf(plan, PATHS.registries) as { configs: Record<string, { auth: { password: unknown } }> };
    assert.equal(configs["mirror.example.com:5000"]?.auth.password, password);
  }
});

for (const [name, registries, finding] of [
  [
    "a user without a password",
    { "docker.io": { endpoints: ["https://m"], username: "edge" } },
    "error registries.docker.io.passwordSecret: is missing beside username - set both or neither",
  ],
  [
    "a password without a user",
    { "docker.io": { endpoints: ["https://m"], passwordSecret: "key" } },
    "error registries.docker.io.username: is missing beside passwordSecret - set both or neither",
  ],
  [
    "two accounts of one host",
    { "docker.io": MIRROR, "quay.io": { ...MIRROR, username: "other" } },
    "error registries.quay.io.username: another registry has other credentials for mirror.example.com:5000 - use one account per host",
  ],
  [
    "a password over http",
    { "docker.io": { endpoints: ["http://m"], ...ACCOUNT } },
    "warning registries.docker.io.endpoints: the password for m travels unencrypted - use https",
  ],
  [
    "a user's name that HTTP takes apart",
    { "docker.io": { ...MIRROR, username: "edge:fleet" } },
    "error registries.docker.io.username: has a colon, which HTTP cannot carry in a user's name - use another account",
  ],
] satisfies [string, Record<string, RegistryMirror>, string][]) {
  test(`${name} is found, with the fix`, () => {
    assert.deepEqual(
      checkRegistries(buildProfile({ registries })).map((found) => `${found.severity} ${describeFinding(found)}`),
      [finding],
    );
  });
}

test("one account may serve several registries", () => {
  assert.deepEqual(checkRegistries(buildProfile({ registries: { "docker.io": MIRROR, "quay.io": MIRROR } })), []);
});

test("a device can be shown without its secrets", () => {
  assert.deepEqual(secretKeys(profile, false), ["mirror-password"]);
  const placeholders = placeholderSecrets(profile, false);
  const { content } = fileOf(renderDistribution(profile, { secrets: placeholders }), PATHS.registries);
  assert.match(content, /password: secret-of-edge-fleet\.mirror-password\n/);
});
