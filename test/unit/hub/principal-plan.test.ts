/** Which regions have a principal, and what it is planned from. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { type PrincipalInput, planPrincipals } from "../../../components/hub/principal/plan.ts";
import { type FleetAuthority, openFleetAuthority } from "../../../components/identity/authority.ts";
import { validityOf } from "../../../components/identity/device.ts";
import type { Profile } from "../../../components/inventory/index.ts";
import { buildProfile } from "../device/profile.ts";
import { authorityKey } from "../identity/keys.ts";

const AUTHORITY = openFleetAuthority(authorityKey());
const IMAGE = `quay.io/argoprojlabs/argocd-agent:v0.10.0@sha256:${"a".repeat(64)}`;
const INPUT: PrincipalInput = {
  exposure: { service: "LoadBalancer", annotations: {}, sourceRanges: [] },
  artifacts: { argocdAgent: { "v0.10.0": { image: IMAGE } } },
  authority: () => AUTHORITY,
};
const AGENT = { version: "v0.10.0", address: "tokyo.hub.example.com", port: 443, generation: 2026 };

const device = (id: string, agent: object = {}, more: Partial<Profile> = {}): Profile => {
  const { gitops } = buildProfile();
  return buildProfile({ id, gitops: { ...gitops, engine: "argocd-agent", agent: { ...AGENT, ...agent } }, ...more });
};
const plan = (profiles: readonly Profile[], input: Partial<PrincipalInput> = {}) =>
  planPrincipals("tokyo", profiles, { ...INPUT, ...input });

test("a region without an agent has no principal, and asks for no authority", () => {
  const refuse = (): FleetAuthority => assert.fail("asked for the authority");
  const argocd = buildProfile({ gitops: { ...buildProfile().gitops, engine: "argocd" } });
  const others = [argocd, device("a", {}, { state: "removed" }), device("b", {}, { joins: "c" })];
  assert.equal(plan(others, { authority: refuse }), undefined);
});

test("the principal is for every address that a device dials, of the newest generation, and counts its agents", () => {
  const found = plan([
    device("a"),
    device("b", { address: "10.0.0.9", generation: 2027 }),
    device("c", {}, { state: "removed" }),
  ]);
  assert.ok(found);
  const { namespace, agents, releases } = found.settings;
  assert.deepEqual(
    [namespace, agents, releases.map(({ version, image, port }) => [version, image, port])],
    ["argocd-tokyo", 2, [["v0.10.0", IMAGE, 443]]],
  );
  const certificate = new X509Certificate(releases[0]?.certificate ?? "");
  assert.ok(certificate.checkIP("10.0.0.9") && certificate.checkHost("tokyo.hub.example.com"));
  assert.deepEqual(certificate.validToDate, validityOf(2027).notAfter);
  assert.equal(found.secrets[0]?.stringData["ca.crt"], AUTHORITY.certificate);
});

const NEXT = { version: "v0.11.0", address: "next.tokyo.hub.example.com", port: 8443, rings: [] };
const LOCKED = { artifacts: { argocdAgent: { "v0.10.0": { image: IMAGE }, "v0.11.0": { image: `${IMAGE}1` } } } };

test("the release that a region is moved to has a principal of its own, before the first ring is moved and after the last", () => {
  const first = plan([device("a"), device("b")]);
  for (const rings of [[], ["canary"], ["canary", "broad"]]) {
    const next = { ...NEXT, rings };
    const both = plan([device("a", { next }), device("b", { next })], LOCKED);
    assert.equal(both?.settings.agents, 2);
    assert.deepEqual(
      both?.settings.releases.map(({ version, port, image }) => [version, port, image]),
      [
        ["v0.10.0", 443, IMAGE],
        ["v0.11.0", 8443, `${IMAGE}1`],
      ],
    );
    assert.deepEqual(both?.settings.releases[0], first?.settings.releases[0]);
    assert.deepEqual(both?.secrets.slice(0, 2), first?.secrets);
    const moved = plan([device("a", { ...NEXT }), device("b", { ...NEXT })], LOCKED);
    assert.deepEqual(both?.settings.releases[1], moved?.settings.releases[0]);
    assert.deepEqual(both?.secrets[2], moved?.secrets[1]);
    const certificate = new X509Certificate(both?.settings.releases[1]?.certificate ?? "");
    assert.ok(certificate.checkHost(NEXT.address) && !certificate.checkHost(AGENT.address));
  }
});

test("the same devices in another order make the same principal", () => {
  const devices = [device("a"), device("b", { address: "10.0.0.9" })];
  assert.deepEqual(plan(devices), plan([...devices].reverse()));
});

for (const [what, profiles, input, message] of [
  [
    "agents of two releases",
    [device("a"), device("b", { version: "v0.10.1" })],
    {},
    "gitops.agent.version: devices of region tokyo have v0.10.0, v0.10.1, and one principal - write it in the region's file, or in fleet.yaml",
  ],
  [
    "a region that is moved to two ports",
    [device("a", { next: NEXT }), device("b", { next: { ...NEXT, port: 8444 } })],
    LOCKED,
    "gitops.agent.next.port: devices of region tokyo have 8443, 8444, and one principal - write it in the region's file, or in fleet.yaml",
  ],
  [
    "an image of the next release that is not locked",
    [device("a", { next: NEXT })],
    {},
    "artifacts.lock.yaml: argocdAgent.v0.11.0.image is missing, region tokyo needs it - run edge-fleet lock",
  ],
  [
    "no address",
    [device("a", { address: undefined })],
    {},
    "gitops.agent.address: is missing for device a - write it in the region's file, or in fleet.yaml",
  ],
  [
    "no generation",
    [device("a", { generation: undefined })],
    {},
    "gitops.agent.generation: is missing for device a - write it in the region's file, or in fleet.yaml",
  ],
  [
    "an image that is not locked",
    [device("a")],
    { artifacts: {} },
    "artifacts.lock.yaml: argocdAgent.v0.10.0.image is missing, region tokyo needs it - run edge-fleet lock",
  ],
  [
    "more agents than a principal takes",
    Array.from({ length: 401 }, (_, index) => device(`d${index}`)),
    {},
    /^region tokyo has 401 devices .* make 2 regions of it, of 201 devices each/,
  ],
] as const)
  test(`${what} is refused with the fix`, () => {
    assert.throws(() => plan(profiles, input), { message });
  });
