/** How Flux logs in to Git: the Secret by the type of the access, and what stands against it. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { renderDeviceEntry, treeDevice } from "../../../components/gitops/index.ts";
import { GitAccessSchema } from "../../../components/inventory/git-schema.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { checkDistribution } from "../../../components/plan/distributions/index.ts";
import { engineFiles } from "../../../components/plan/engine-files.ts";
import { gitSecretKeys } from "../../../components/plan/git-access.ts";
import { FULL_EXAMPLE } from "../gitops/fleet.ts";
import { buildProfile, gitopsOf } from "./profile.ts";

const KEY = generateKeyPairSync("rsa", { modulusLength: 2048 })
  .privateKey.export({ type: "pkcs8", format: "pem" })
  .toString();
const HOSTS = "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n";
const CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const SECRETS = { "git-password": "pass word\n", "git-ssh-key": KEY, "git-github-app-key": KEY };

function device(access: object | undefined): Profile {
  const gitops = gitopsOf("flux");
  return buildProfile({
    gitops: access === undefined ? gitops : { ...gitops, access: GitAccessSchema.parse(access) },
  });
}

function filesOf(profile: Profile, url = FULL_EXAMPLE.git.url, secrets: Record<string, string> = SECRETS) {
  const entry = renderDeviceEntry({ git: { ...FULL_EXAMPLE.git, url } }, treeDevice(profile));
  return new Map(engineFiles(profile, { entry, secrets }).map((file) => [file.path.split("/").at(-1) ?? "", file]));
}

const CREDENTIALS = "edge-fleet-git-credentials.yaml";

for (const [what, access, url, name, keys, provider] of [
  [
    "https",
    { type: "https", ca: CA },
    "https://git.example.com/f.git",
    "https",
    ["ca.crt", "password", "username"],
    false,
  ],
  [
    "ssh",
    { type: "ssh", knownHosts: HOSTS },
    "ssh://git@git.example.com/f.git",
    "ssh",
    ["identity", "known_hosts"],
    false,
  ],
  [
    "a GitHub App",
    { type: "githubApp", appId: 1, installationId: 2, apiUrl: "https://github.example.com/api/v3" },
    "https://github.example.com/f.git",
    "githubapp",
    ["githubAppBaseURL", "githubAppID", "githubAppInstallationID", "githubAppPrivateKey"],
    true,
  ],
  ["a private authority alone", { ca: CA }, "https://git.example.com/f.git", "none", ["ca.crt"], false],
] as const) {
  test(`with ${what} the root names the Secret of its type, which holds what Flux reads, and is a secret file`, () => {
    const files = filesOf(device(access), url);
    assert.deepEqual([...files.keys()], ["edge-fleet-entry.yaml", CREDENTIALS]);
    const credentials = files.get(CREDENTIALS);
    assert.equal(credentials?.secret, true);
    assert.match(credentials?.content ?? "", new RegExp(`name: edge-fleet-git-${name}\\n {2}namespace: flux-system`));
    const found = [...(credentials?.content ?? "").matchAll(/^ {2}([A-Za-z._]+): /gm)].map(([, key]) => key ?? "");
    assert.deepEqual(found.filter((key) => !["name", "namespace"].includes(key)).sort(), keys);
    const entry = files.get("edge-fleet-entry.yaml")?.content ?? "";
    assert.match(entry, new RegExp(`secretRef:\\n +name: edge-fleet-git-${name}\\n`));
    assert.equal(entry.includes("provider: github"), provider);
  });
}

test("a public repository needs neither Secret nor key", () => {
  const files = filesOf(device(undefined));
  assert.deepEqual([...files.keys()], ["edge-fleet-entry.yaml"]);
  assert.ok(!files.get("edge-fleet-entry.yaml")?.content.includes("secretRef"));
  assert.deepEqual(gitSecretKeys(device(undefined)), []);
  assert.deepEqual(gitSecretKeys(device({ type: "https" })), ["git-password"]);
});

test("what is missing is told with the fix, as for Argo CD, and a URL that Flux does not read is refused", () => {
  assert.throws(() => filesOf(device({ type: "https" }), undefined, {}), /the stack has no secret git-password - run/);
  const problems = checkDistribution(device({ type: "ssh" })).map(({ message }) => message);
  assert.ok(
    problems.some((message) => message.includes("ssh-keyscan")),
    problems.join(),
  );
  assert.throws(
    () => filesOf(device({ type: "ssh", knownHosts: HOSTS }), "git@git.example.com:f.git"),
    /gitops\.engine.*is flux, which reads no git@git\.example\.com:f\.git - write git\.url as/,
  );
});
