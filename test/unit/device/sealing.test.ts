/** What a device with Sealed Secrets is sent: its keys as secrets, the controller as artifacts, and why it is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAllDocuments } from "yaml";
import { makeSealingPair, sealingKeyName, sealingSecretKey } from "../../../components/identity/sealing.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { regionSecretKeys } from "../../../components/plan/contexts.ts";
import { checkDistribution } from "../../../components/plan/distributions/index.ts";
import { placeholderSecrets } from "../../../components/plan/distributions/secrets.ts";
import { payloadText, renderPayload } from "../../../components/plan/payload.ts";
import { checkSealing } from "../../../components/plan/sealing.ts";
import { planText } from "../../../components/plan/text.ts";
import { buildProfile, gitopsOf, LOCK, SEALED_SECRETS } from "./profile.ts";

const PAIR = makeSealingPair("tokyo", new Date(0));
const OLDER = makeSealingPair("tokyo", new Date(0));
const SECRETS = Object.fromEntries([PAIR, OLDER].map(({ certificate, key }) => [sealingSecretKey(certificate), key]));
const FOLDER = "/var/lib/rancher/k3s/server/manifests";

function sealed(engine: Profile["gitops"]["engine"] = "argocd", changes: Partial<Profile> = {}): Profile {
  const gitops = { ...gitopsOf(engine), secrets: "sealed-secrets" } as const;
  return buildProfile({ gitops, sealing: [PAIR.certificate, OLDER.certificate], ...changes });
}

test("the keys travel as secrets, all in one file that restarts nothing", () => {
  const payload = renderPayload(sealed(), LOCK, { secrets: SECRETS });
  const file = payload.files.find(({ path }) => path === `${FOLDER}/edge-fleet-sealed-secrets-keys.yaml`);
  assert.deepEqual(file, {
    path: `${FOLDER}/edge-fleet-sealed-secrets-keys.yaml`,
    mode: "0600",
    content: "",
    live: true,
    secret: true,
  });
  const body = PAIR.key.split("\n")[1] ?? "";
  const readable = `${payload.body}${planText(sealed(), payload, "p")}${JSON.stringify(payload.artifacts)}`;
  assert.ok(payload.secretFiles.includes(body) && !readable.includes(body));
  const [, text = ""] = /sealed-secrets-keys\.yaml \d+\n([\s\S]*)end\n$/.exec(payloadText(payload)) ?? [];
  const [namespace, ...objects] = parseAllDocuments(text).map((document) => document.toJS());
  assert.deepEqual([namespace.kind, namespace.metadata.name], ["Namespace", "sealed-secrets"]);
  assert.deepEqual(
    objects.map(({ metadata, type, stringData }) => [metadata.name, metadata.namespace, type, stringData["tls.key"]]),
    [PAIR, OLDER].map(({ certificate, key }) => [
      `sealing-key-${sealingKeyName(certificate)}`,
      "sealed-secrets",
      "kubernetes.io/tls",
      key,
    ]),
  );
  // pkg/controller/keys.go of Sealed Secrets v0.40.0: SealedSecretsKeyLabel
  for (const { metadata } of objects)
    assert.deepEqual(metadata.labels, { "sealedsecrets.bitnami.com/sealed-secrets-key": "active" });
});

test("the keys are applied before the controller, which never looks at them again", () => {
  const { files, artifacts } = renderPayload(sealed(), LOCK, { secrets: SECRETS });
  const places = [...files.map(({ path }) => path), ...artifacts.map(({ installPath = "" }) => installPath)];
  const names = places.filter((path) => /sealed-secrets[^/]*\.yaml$/.test(path)).map((path) => path.split("/").pop());
  const order = ["edge-fleet-sealed-secrets-keys.yaml", "edge-fleet-sealed-secrets.yaml"];
  assert.deepEqual([names, names.toSorted()], [order, order]);
});

test("the controller and its definition are artifacts by hash, the same for devices with the same keys", () => {
  const artifacts = (profile: Profile) =>
    renderPayload(profile, LOCK, { secrets: SECRETS }).artifacts.filter(({ installPath = "" }) =>
      /seal/.test(installPath),
    );
  assert.deepEqual(
    artifacts(sealed()).map(({ name, kind, installPath, delivery }) => [name, kind, installPath, delivery]),
    [
      ["sealedsecret-crd", "manifest", `${FOLDER}/edge-fleet-crd-sealedsecret.yaml`, "fetch"],
      [`sealed-secrets ${SEALED_SECRETS}`, "manifest", `${FOLDER}/edge-fleet-sealed-secrets.yaml`, "push"],
    ],
  );
  const hash = (profile: Profile) => artifacts(profile)[1]?.sha256;
  assert.equal(hash(sealed("argocd", { id: "edge-0002" })), hash(sealed()));
  assert.notEqual(hash(sealed("argocd", { sealing: [PAIR.certificate] })), hash(sealed()));
});

for (const [what, profile, there] of [
  ["argocd", sealed(), true],
  ["flux", sealed("flux"), true],
  ["none", sealed("none"), false],
  ["argocd without secrets", { ...sealed(), gitops: gitopsOf("argocd") }, false],
  ["a machine of another one's cluster", sealed("argocd", { joins: "edge-0009" }), false],
] as const)
  test(`engine ${what}: it is ${there ? "" : "not "}installed, and told in the plan where it is`, () => {
    assert.equal(regionSecretKeys([profile]).filter((key) => key.startsWith("sealingKey-")).length, there ? 2 : 0);
    if (profile.joins !== undefined) return;
    const payload = renderPayload(profile, LOCK, { secrets: SECRETS });
    assert.equal(payloadText(payload).includes("sealed-secrets"), there);
    const lines = planText(profile, payload, "p")
      .split("\n")
      .filter((line) => /^gitops\.(secrets|sealed)/.test(line));
    const told = ["gitops.sealedSecrets.version: v0.40.0", "gitops.secrets: sealed-secrets"];
    assert.deepEqual(lines, there ? told : []);
  });

const mismatch = { ...SECRETS, [sealingSecretKey(PAIR.certificate)]: OLDER.key };
const without = { [sealingSecretKey(OLDER.certificate)]: OLDER.key };
const NAME = sealingSecretKey(PAIR.certificate);
const FIX =
  "restore Pulumi.tokyo.yaml, or make another key with edge-fleet seal tokyo --new-key and seal everything anew";

for (const [what, secrets, message] of [
  ["has no private key", without, `the stack has no secret ${NAME}, whose certificate is in tokyo.lock.yaml - ${FIX}`],
  ["has another private key", mismatch, `the secret ${NAME} is not the key of its certificate - ${FIX}`],
] as const)
  test(`a stack that ${what} is refused with the fix, and shows no key`, () => {
    assert.throws(() => renderPayload(sealed(), LOCK, { secrets }), {
      message: `device edge-0001: gitops.secrets: ${message}`,
    });
  });

test("a device without a sealing key, or with one that is none, is refused with the fix", () => {
  const messages = (sealing: readonly string[]) =>
    checkSealing(sealed("argocd", { sealing })).map(({ message }) => message);
  assert.deepEqual(messages([]), ["tokyo.lock.yaml has no sealing key for it - run edge-fleet seal tokyo --new-key"]);
  assert.deepEqual(messages(["-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]), [
    "a sealing key of tokyo.lock.yaml is no certificate of an RSA key - restore the file from Git",
  ]);
  assert.deepEqual(messages([PAIR.certificate]), []);
  assert.deepEqual(
    checkDistribution(sealed("argocd", { sealing: [] })).map(({ setting }) => setting.join(".")),
    ["gitops.secrets"],
  );
});

for (const [field, entry] of [
  ["image", { crd: LOCK.sealedSecrets?.[SEALED_SECRETS]?.crd }],
  ["crd", { image: LOCK.sealedSecrets?.[SEALED_SECRETS]?.image }],
] as const)
  test(`a ${field} that is not locked is told with the device and the fix`, () => {
    const lock = { ...LOCK, sealedSecrets: { [SEALED_SECRETS]: entry } };
    assert.throws(() => renderPayload(sealed(), lock, { secrets: SECRETS }), {
      message: `artifacts.lock.yaml: sealedSecrets.v0.40.0.${field} is missing, device edge-0001 needs it - run edge-fleet lock`,
    });
  });

test("its files can be shown without the keys", () => {
  const text = payloadText(renderPayload(sealed(), LOCK, { secrets: placeholderSecrets(sealed(), false) }));
  assert.ok(text.includes(`tls.key: secret-of-edge-fleet.${NAME}\n`) && !text.includes("PRIVATE KEY"));
});

test("it counts among what has to fit beside workloads, and its registry among those that a closed site mirrors", () => {
  const of = (changes: Partial<Profile>) => checkDistribution(sealed("argocd", changes)).map(({ message }) => message);
  const artifacts = { ...buildProfile().artifacts, images: true };
  assert.match(
    of({ artifacts }).join(),
    /Argo CD and Sealed Secrets, which come from quay\.io and public\.ecr\.aws and docker\.io/,
  );
  assert.match(of({ memoryMiB: 1024 }).join(), /Argo CD and Sealed Secrets request 352 of the \d+ MiB/);
});
