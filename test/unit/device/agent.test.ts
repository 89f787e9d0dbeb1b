/** What a device with an agent is sent: a certificate over the key that enrollment recorded, and never a private key. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { parse } from "yaml";
import { agentOf } from "../../../components/gitops/engine/agent/settings.ts";
import { FLEET_CA_KEY, openFleetAuthority } from "../../../components/identity/authority.ts";
import { checkAgent } from "../../../components/plan/agent.ts";
import { regionSecretKeys } from "../../../components/plan/contexts.ts";
import { engineImages } from "../../../components/plan/engine-images.ts";
import { renderPayload } from "../../../components/plan/payload.ts";
import { planText } from "../../../components/plan/text.ts";
import { authorityKey, identityLine } from "../identity/keys.ts";
import { buildProfile, gitopsOf, LOCK } from "./profile.ts";

const KEY = authorityKey();
const ENROLLED = { hostKey: "ssh-ed25519 AAAA", identityKey: identityLine(Buffer.alloc(32, 9)) };
const PROFILE = buildProfile({ ...ENROLLED, gitops: gitopsOf("argocd-agent") });
const URL = "https://git.example.com/fleet.git";
const CONTEXT = { secrets: { [FLEET_CA_KEY]: KEY }, gitUrl: URL };
const agent = (changes: object) => ({
  ...PROFILE,
  gitops: { ...PROFILE.gitops, agent: { ...PROFILE.gitops.agent, ...changes } as typeof PROFILE.gitops.agent },
});
const CLIENT = "/var/lib/edge-fleet/agent/client-tls.yaml";

test("the payload has the certificate, what the agent trusts, and Argo CD with its agent as artifacts", () => {
  const { files, artifacts, secretFiles } = renderPayload(PROFILE, LOCK, CONTEXT);
  const content = (path: string) => parse(files.find((file) => file.path === path)?.content ?? "");
  const client = content(CLIENT);
  const certificate = new X509Certificate(Buffer.from(client.data["tls.crt"], "base64"));
  assert.equal(certificate.subject, "CN=edge-0001");
  const trust = content("/var/lib/rancher/k3s/server/manifests/edge-fleet-hub-trust.yaml");
  const authority = new X509Certificate(trust.stringData["ca.crt"]);
  assert.ok(certificate.verify(authority.publicKey));
  assert.deepEqual([client.metadata.name, client.type], ["argocd-agent-client-tls-2026", "kubernetes.io/tls"]);
  assert.equal(Object.keys(client).at(-1), "data", "the device program adds a line at the end");
  const manifests = artifacts.filter(({ kind }) => kind === "manifest").map(({ name }) => name);
  assert.deepEqual(manifests.slice(2), ["argocd v3.2.11", "argocd-agent v0.10.0"]);
  const body = KEY.split("\n")[1] ?? "";
  assert.ok(!JSON.stringify(files).includes(body) && !secretFiles.includes(body));
});

test("the same inventory gives the same payload, and a new generation changes the certificate and the agent alone", () => {
  const first = renderPayload(PROFILE, LOCK, CONTEXT);
  assert.equal(renderPayload({ ...PROFILE }, LOCK, CONTEXT).hash, first.hash);
  const next = agent({ generation: 2027 });
  const lines = (profile: typeof PROFILE) => planText(profile, renderPayload(profile, LOCK, CONTEXT), "p").split("\n");
  const changed = lines(next).filter((line) => !lines(PROFILE).includes(line));
  assert.deepEqual(
    changed.map((line) => line.split(":")[0]),
    ["artifact manifest argocd-agent v0.10.0", `file ${CLIENT}`, "gitops.agent.generation", "payload"],
  );
  const file = renderPayload(next, LOCK, CONTEXT).files.find(({ path }) => path === CLIENT);
  assert.equal(file?.live, true, "nothing restarts for a certificate");
});

const NEXT = { version: "v0.11.0", address: "next.hub.example.com", port: 8443 };
const MOVED_LOCK = {
  ...LOCK,
  argocdAgent: {
    ...LOCK.argocdAgent,
    "v0.11.0": { image: `quay.io/argoprojlabs/argocd-agent@sha256:${"e".repeat(64)}` },
  },
};
const textOf = (profile: typeof PROFILE) =>
  planText(profile, renderPayload(profile, MOVED_LOCK, CONTEXT), "p").split("\n");

for (const [what, rings, expected] of [
  ["no ring", [], PROFILE],
  ["another ring", ["early"], PROFILE],
  ["its ring", ["early", PROFILE.ring], agent(NEXT)],
] as const)
  test(`a device of a region of which ${what} is moved is as if its agent were set up so`, () => {
    const profile = agent({ next: { ...NEXT, rings } });
    assert.deepEqual(agentOf(profile), expected.gitops.agent);
    assert.deepEqual(textOf(profile), textOf(expected));
    assert.deepEqual(engineImages(profile, MOVED_LOCK), engineImages(expected, MOVED_LOCK));
  });

test("a device whose ring is moved gets another agent, and nothing else of it changes", () => {
  const moved = textOf(agent({ next: { ...NEXT, rings: [PROFILE.ring] } }));
  const changed = moved.filter((line) => !textOf(PROFILE).includes(line));
  assert.deepEqual(
    changed.map((line) => line.replace(/: [0-9a-f]{12,}$/, "")),
    [
      "artifact manifest argocd-agent v0.11.0",
      "gitops.agent.address: next.hub.example.com",
      "gitops.agent.port: 8443",
      "gitops.agent.version: v0.11.0",
      "payload",
    ],
  );
});

test("the authority's key is asked for where a device has an agent, and only there", () => {
  assert.deepEqual(regionSecretKeys([PROFILE]), [FLEET_CA_KEY]);
  assert.deepEqual(regionSecretKeys([buildProfile({ gitops: gitopsOf("argocd") })]), []);
});

for (const [what, profile, context, message] of [
  ["without the authority's key", PROFILE, {}, /^edge-fleet:fleetCaKey is not set, and engine argocd-agent needs it/],
  [
    "whose identity is not pinned",
    { ...PROFILE, identityKey: undefined },
    CONTEXT,
    "device edge-0001: its identity is not pinned - run edge-fleet enroll tokyo --device edge-0001",
  ],
  [
    "whose image is not locked",
    agent({ version: "v0.9.0" }),
    CONTEXT,
    "artifacts.lock.yaml: argocdAgent.v0.9.0.image is missing, device edge-0001 needs it - run edge-fleet lock",
  ],
  [
    "without an address",
    agent({ address: undefined }),
    CONTEXT,
    /^device edge-0001: gitops.agent.address: is missing - write/,
  ],
] as const)
  test(`a device ${what} is refused with the fix`, () => {
    assert.throws(() => renderPayload(profile, LOCK, context), { message });
  });

test("a device that is not enrolled has a plan, so that it waits for its enrollment and does not fail", () => {
  const fresh = { ...PROFILE, hostKey: undefined, identityKey: undefined };
  const { files } = renderPayload(fresh, LOCK, CONTEXT);
  assert.ok(!files.some(({ path }) => path === CLIENT));
  assert.ok(openFleetAuthority(KEY).certificate !== "");
});

const FINDINGS: readonly (readonly [what: string, profile: typeof PROFILE, now: string, found: readonly string[]])[] = [
  ["nothing where all is set", PROFILE, "2026-12-31", []],
  ["a renewal that is due", PROFILE, "2027-01-01", ["warning gitops.agent.generation"]],
  ["a renewal that is overdue", PROFILE, "2031-01-01", ["warning gitops.agent.generation"]],
  ["nothing for next year's", agent({ generation: 2027 }), "2026-11-01", []],
  ["a year that is too far ahead", agent({ generation: 2028 }), "2026-11-01", ["error gitops.agent.generation"]],
  ["no generation", agent({ generation: undefined }), "2026-11-01", ["error gitops.agent.generation"]],
  ["no address", agent({ address: undefined }), "2026-11-01", ["error gitops.agent.address"]],
  ["nothing without an agent", buildProfile({ gitops: gitopsOf("argocd") }), "2026-11-01", []],
];

for (const [what, profile, now, found] of FINDINGS)
  test(`the check finds ${what}`, () => {
    const findings = checkAgent(profile, new Date(now));
    assert.deepEqual(
      findings.map(({ severity, setting }) => `${severity} ${setting.join(".")}`),
      found,
    );
    for (const { message } of findings) assert.match(message, / - write /);
  });
