/** Access to Git: from `gitops.access` and the stack's secrets to the objects by which Argo CD logs in, and what is refused. */
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { GitAccessSchema } from "../../../components/inventory/git-schema.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { regionSecretKeys } from "../../../components/plan/contexts.ts";
import { planDevice } from "../../../components/plan/device.ts";
import { checkDistribution } from "../../../components/plan/distributions/index.ts";
import { renderPayload } from "../../../components/plan/payload.ts";
import { ARTIFACTS, buildProfile, gitopsOf, LOCK } from "./profile.ts";

const KEY = generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }).toString();
const HOSTS = "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==\n";
const CA = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const HTTPS = "https://git.example.com:8443/fleet.git";
const SSH = "ssh://git@git.example.com:2222/fleet.git";
const APP = { type: "githubApp", appId: 7, installationId: 8 };

/** A device whose Application reads a repository. */
function device(access: object | undefined, changes: Partial<Profile> = {}): Profile {
  const gitops = {
    ...gitopsOf("argocd"),
    ...(access === undefined ? {} : { access: GitAccessSchema.parse(access) }),
  };
  return buildProfile({ gitops, artifacts: { ...ARTIFACTS, delivery: "push" }, ...changes });
}

const entryOf = (repoURL: string) => [{ kind: "Application", spec: { source: { repoURL } } }];

/** The objects of a file below the folder of manifests. */
function objects(text: string, name: string): Record<string, Record<string, unknown>>[] {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.includes(`/edge-fleet-${name}.yaml `));
  if (start < 0) return [];
  const count = Number(lines[start]?.split(" ").at(-1));
  return parseAllDocuments(lines.slice(start + 1, start + 1 + count).join("\n")).map((document) => document.toJS());
}

for (const [name, access, url, secrets, login] of [
  ["a token", { type: "https" }, HTTPS, { "git-password": "t0ken\n" }, { username: "edge-fleet", password: "t0ken" }],
  [
    "a password",
    { type: "https", username: "bot", ca: CA },
    HTTPS,
    { "git-password": 'a "quoted": #1' },
    { username: "bot", password: 'a "quoted": #1' },
  ],
  ["a deploy key", { type: "ssh", knownHosts: HOSTS }, SSH, { "git-ssh-key": `${KEY.trim()}` }, { sshPrivateKey: KEY }],
  [
    "a GitHub App",
    { ...APP, apiUrl: "https://github.example.com/api/v3" },
    HTTPS,
    { "git-github-app-key": KEY },
    {
      ...{ githubAppID: "7", githubAppInstallationID: "8", githubAppPrivateKey: KEY },
      githubAppEnterpriseBaseUrl: "https://github.example.com/api/v3",
    },
  ],
] satisfies [string, object, string, Record<string, string>, object][])
  test(`${name} reaches the device as a repository Secret, apart from what is sent in clear`, () => {
    const profile = device(access);
    assert.deepEqual(regionSecretKeys([profile]), Object.keys(secrets));
    const payload = renderPayload(profile, LOCK, { entry: entryOf(url), secrets });
    const [secret, ...more] = objects(payload.secretFiles, "git-credentials");
    assert.deepEqual(more, []);
    assert.deepEqual(secret?.stringData, { type: "git", url, ...login });
    assert.equal(secret?.metadata?.namespace, "argocd");
    assert.equal(secret?.metadata?.name, `edge-fleet-git-${access.type.toLowerCase()}`);
    assert.match(JSON.stringify(secret?.metadata?.labels), /"argocd.argoproj.io\/secret-type":"repository"/);
    assert.match(
      payload.secretFiles,
      /^file 0600 live \/var\/lib\/rancher\/k3s\/server\/manifests\/edge-fleet-git-cred/,
    );
    for (const value of Object.values(secrets))
      for (const line of value.trim().split("\n")) assert.ok(!payload.body.includes(line), line);
  });

test("another type of access is a Secret of another name, so that no key of the old login stays in it", () => {
  const names = [
    { access: { type: "https" }, url: HTTPS, secrets: { "git-password": "t0ken" } },
    { access: { type: "ssh", knownHosts: HOSTS }, url: SSH, secrets: { "git-ssh-key": KEY } },
    { access: APP, url: HTTPS, secrets: { "git-github-app-key": KEY } },
  ].flatMap(({ access, url, secrets }) => {
    const { secretFiles } = renderPayload(device(access), LOCK, { entry: entryOf(url), secrets });
    return objects(secretFiles, "git-credentials").map(({ metadata }) => metadata?.name);
  });
  assert.equal(new Set(names).size, 3, names.join());
});

test("pinned host keys and authorities are no secret, and there without any", () => {
  const trust = (access: object | undefined, url: string) =>
    objects(renderPayload(device(access), LOCK, { entry: entryOf(url) }).body, "git").map(({ metadata, data }) => [
      metadata?.name,
      data,
    ]);
  assert.deepEqual(trust(undefined, HTTPS), [
    ["argocd-ssh-known-hosts-cm", { ssh_known_hosts: "" }],
    ["argocd-tls-certs-cm", {}],
  ]);
  assert.deepEqual(trust({ knownHosts: HOSTS, ca: CA }, HTTPS), [
    ["argocd-ssh-known-hosts-cm", { ssh_known_hosts: HOSTS }],
    ["argocd-tls-certs-cm", { "git.example.com": CA }],
  ]);
  assert.deepEqual(trust({ ca: CA }, "git@git.example.com:fleet.git")[1], [
    "argocd-tls-certs-cm",
    { "git.example.com": CA },
  ]);
});

test("another secret is another dial, and no other plan or restart", () => {
  const planned = (password: string) =>
    planDevice(device({ type: "https" }), LOCK, "p", { entry: entryOf(HTTPS), secrets: { "git-password": password } });
  const [one, other] = [planned("one-password"), planned("other-password")];
  assert.equal(one.text, other.text);
  assert.deepEqual(one.payload, other.payload);
  assert.notEqual(one.secretFiles, other.secretFiles);
  assert.ok(!`${one.text}${one.payload?.body}`.includes("one-password"));
});

for (const [name, access, url, secrets, message] of [
  [
    "a missing token",
    { type: "https" },
    HTTPS,
    {},
    /the stack has no secret git-password - run pulumi config set --secret edge-fleet:git-password$/,
  ],
  [
    "a missing key",
    { type: "ssh", knownHosts: HOSTS },
    SSH,
    {},
    /the stack has no secret git-ssh-key - run pulumi config set --secret edge-fleet:git-ssh-key <KEYFILE$/,
  ],
  [
    "a key with a passphrase",
    { type: "ssh", knownHosts: HOSTS },
    SSH,
    {
      "git-ssh-key": `-----BEGIN OPENSSH PRIVATE KEY-----\n${Buffer.from("openssh-key-v1\0\0\0\0\naes256-ctr").toString("base64")}\n-----END OPENSSH PRIVATE KEY-----\n`,
    },
    /is no private key without a passphrase/,
  ],
  ["no pinned host key", { type: "ssh" }, SSH, { "git-ssh-key": KEY }, /gitops\.access\.knownHosts: is missing - /],
  [
    "an app without its id",
    { type: "githubApp", installationId: 1 },
    HTTPS,
    {},
    /gitops\.access\.appId: is missing - /,
  ],
  ["a deploy key for https", { type: "ssh", knownHosts: HOSTS }, HTTPS, {}, /is ssh, but git\.url is https:/],
  ["a token for ssh", { type: "https" }, "git@git.example.com:fleet.git", {}, /is https, but git\.url is git@/],
] satisfies [string, object, string, Record<string, string>, RegExp][])
  test(`${name} is refused with the fix, and without the secret`, () => {
    const attempt = () => renderPayload(device(access), LOCK, { entry: entryOf(url), secrets });
    assert.throws(attempt, (error: Error) => message.test(error.message) && !error.message.includes("PRIVATE KEY"));
  });

test("what is missing is found before a run, at its setting", () => {
  const found = checkDistribution(device({ type: "ssh" })).map(({ severity, setting }) => [
    severity,
    setting.join("."),
  ]);
  assert.deepEqual(found, [["error", "gitops.access.knownHosts"]]);
});

test("a device on which nothing pulls needs no access", () => {
  const other = { ...device({ type: "ssh" }).gitops, engine: "none" } as const;
  for (const profile of [device({ type: "ssh" }, { gitops: other }), device({ type: "ssh" }, { joins: "server-1" })]) {
    assert.deepEqual(
      regionSecretKeys([profile]).filter((key) => key.startsWith("git-")),
      [],
    );
    assert.deepEqual(
      checkDistribution(profile).filter(({ setting }) => setting[0] === "gitops"),
      [],
    );
  }
});

test("a list of host keys is of known_hosts' lines, and of nothing else", () => {
  for (const knownHosts of ["# comment\n", "|1|hash|= ssh-ed25519 AAAA\n", "@revoked * ssh-rsa AAAA\n", "host AAAA\n"])
    assert.equal(GitAccessSchema.safeParse({ type: "ssh", knownHosts }).success, false, knownHosts);
  assert.equal(
    GitAccessSchema.safeParse({ type: "ssh", knownHosts: `${HOSTS}[a.b]:22 ssh-rsa AAAA== c\n` }).success,
    true,
  );
});
