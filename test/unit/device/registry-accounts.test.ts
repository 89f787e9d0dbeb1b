/** Accounts of registries as the containerd of K0s and MicroK8s reads them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parse as parseToml } from "smol-toml";
import type { ArtifactsLock } from "../../../components/inventory/schema.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import type { RenderContext } from "../../../components/plan/distributions/distribution-plan.ts";
import { renderDistribution } from "../../../components/plan/distributions/index.ts";
import { placeholderSecrets, secretKeys } from "../../../components/plan/distributions/secrets.ts";
import { renderPayload } from "../../../components/plan/payload.ts";
import { assertGolden } from "../../golden.ts";
import { describeFiles, fileOf } from "./plan-files.ts";
import { buildProfile } from "./profile.ts";

const PASSWORD = "s3cret-Of-The-Mirror";
const ACCOUNT = { username: "edge", passwordSecret: "mirror-password" };
const REGISTRIES: Profile["registries"] = {
  "*": { endpoints: ["https://other.example.com"] },
  "docker.io": { endpoints: ["https://mirror.example.com:5000/v2/hub", "https://other.example.com"], ...ACCOUNT },
  "quay.io": { endpoints: ["https://other.example.com", "https://mirror.example.com:5000"] },
};
const { k0s, microk8s } = buildProfile();

/** Each with the folder of its registries. */
const DISTRIBUTIONS = {
  k0s: {
    folder: "/etc/k0s/containerd.d/certs.d",
    changes: { distribution: "k0s", k0s: { ...k0s, version: "v1.36.3+k0s.2" } },
    old: { k0s: { ...k0s, version: "v1.35.7+k0s.0" } },
  },
  microk8s: {
    folder: "/etc/edge-fleet/microk8s/certs.d",
    changes: { distribution: "microk8s", microk8s: { ...microk8s, version: "v1.36.2" } },
    old: { microk8s: { ...microk8s, version: "v1.34.4" } },
  },
} as const;

const FILE = { url: "https://example.com/file", sha256: "a".repeat(64) };
const LOCK: ArtifactsLock = {
  k0s: { "v1.36.3+k0s.2": { amd64: FILE } },
  microk8s: { "v1.36.2": { amd64: { revision: 7, snap: FILE, assertions: FILE } } },
};

interface Hosts {
  readonly server?: string;
  readonly host: Record<string, { capabilities: string[]; header?: Record<string, string> }>;
}

for (const [name, { folder, changes, old }] of Object.entries(DISTRIBUTIONS)) {
  const profile = buildProfile({ ...changes, registries: REGISTRIES });
  const plan = (secrets: RenderContext["secrets"] = { "mirror-password": PASSWORD }, own = profile) =>
    renderDistribution(own, secrets === undefined ? {} : { secrets });
  const hosts = (planned: ReturnType<typeof plan>, registry: string): Hosts =>
    JSON.parse(JSON.stringify(parseToml(fileOf(planned, `${folder}/${registry}/hosts.toml`).content)));
  const basic = (user: string, password: string) => `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;

  test(`${name}: the registries with an account are as reviewed`, () => {
    const files = plan({ "mirror-password": "PASSWORD" }).files.filter(({ path }) => path.startsWith(folder));
    assertGolden(`${name}/registries.txt`, describeFiles({ ...plan(), files }));
  });

  test(`${name}: an account is the header of its host in every registry, and of no other host`, () => {
    const header = { Authorization: basic("edge", PASSWORD) };
    const pull = { capabilities: ["pull", "resolve"] };
    assert.deepEqual(hosts(plan(), "docker.io"), {
      server: "https://registry-1.docker.io",
      host: {
        "https://mirror.example.com:5000/v2/hub": { ...pull, header },
        "https://other.example.com": pull,
      },
    });
    assert.deepEqual(hosts(plan(), "quay.io").host["https://mirror.example.com:5000"], { ...pull, header });
    assert.deepEqual(hosts(plan(), "_default"), { host: { "https://other.example.com": pull } });
  });

  test(`${name}: an endpoint that spells out its scheme's port has its account, and the one that does not has none`, () => {
    const endpoints = ["https://mirror.example.com:443", "https://mirror.example.com"];
    const own = { ...profile, registries: { "docker.io": { endpoints, ...ACCOUNT } } };
    const accounts = Object.entries(hosts(plan(undefined, own), "docker.io").host);
    assert.deepEqual(
      accounts.map(([host, { header }]) => [host, header !== undefined]),
      [
        ["https://mirror.example.com:443", true],
        ["https://mirror.example.com", false],
      ],
    );
  });

  test(`${name}: what holds a password is secret and root's alone, and nothing else holds it`, () => {
    const { files, ...rest } = plan();
    const secret = files.filter((file) => file.secret === true);
    assert.deepEqual(
      secret.map(({ path, mode, live }) => [path, mode, live]),
      ["docker.io", "quay.io"].map((registry) => [`${folder}/${registry}/hosts.toml`, "0600", true]),
    );
    const encoded = basic("edge", PASSWORD).slice("Basic ".length);
    for (const value of [...files.filter((file) => file.secret !== true), rest])
      for (const text of [PASSWORD, encoded]) assert.equal(JSON.stringify(value).includes(text), false);
    const { body, secretFiles } = renderPayload(profile, LOCK, { secrets: { "mirror-password": PASSWORD } });
    assert.deepEqual([body.includes(PASSWORD), body.includes(encoded), secretFiles === ""], [false, false, false]);
  });

  test(`${name}: a missing password is named with the command that sets it`, () => {
    for (const secrets of [undefined, {}, { "mirror-password": "" }, { toString: "x" }]) {
      assert.throws(() => renderDistribution(profile, secrets === undefined ? {} : { secrets }), {
        message:
          "device edge-0001: registries.docker.io.passwordSecret: the stack has no secret mirror-password - run pulumi config set --secret edge-fleet:mirror-password",
      });
    }
  });

  test(`${name}: any user and password arrive as they are`, () => {
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 40 });
    const special = fc.constantFrom('"', "\\", "\\u0041", "'''", '"""', "ä€𝄞", "a b", "\t", "#", "%", "=", "\n");
    const password = fc.tuple(text, special, text).map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, password, (written, secret) => {
        const username = written.replaceAll(":", "_");
        const registries = { "docker.io": { endpoints: ["https://m"], username, passwordSecret: "mirror-password" } };
        const planned = plan({ "mirror-password": secret }, { ...profile, registries });
        const sent = hosts(planned, "docker.io").host["https://m"]?.header?.Authorization ?? "";
        assert.match(sent, /^Basic [A-Za-z0-9+/]+={0,2}$/, "a header of one line in ASCII");
        assert.equal(Buffer.from(sent.slice("Basic ".length), "base64").toString("utf8"), `${username}:${secret}`);
      }),
    );
  });

  test(`${name}: the device's secrets are asked for and can be stood in for`, () => {
    assert.deepEqual(secretKeys(profile, false), ["mirror-password"]);
    const planned = plan(placeholderSecrets(profile, false));
    const sent = hosts(planned, "docker.io").host["https://other.example.com"];
    assert.equal(sent?.header, undefined);
  });

  test(`${name}: that containerd 1.7 gives a token server no password is told, and nothing on containerd 2`, () => {
    assert.deepEqual(plan().warnings, []);
    const warnings = plan(undefined, { ...profile, ...old }).warnings ?? [];
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0] ?? "",
      /^registries\.docker\.io\.passwordSecret: containerd 1\.7 of v1\.3[45]\S* sends it to the registry alone, .* - use \w+\.version v1\.3[56] or later /,
    );
    assert.deepEqual(
      plan(undefined, { ...profile, ...old, registries: { "*": { endpoints: ["https://m"] } } }).warnings,
      [],
    );
  });
}
