/** `status` and `explain` while a region is moved to another release of argocd-agent; the `pulumi` CLI is a stand-in. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { edgeFleet } from "./command.ts";
import { fakePulumi } from "./fake-pulumi.ts";
import { writeInventory } from "./inventory.ts";

const [OLD, NEW] = ["v0.10.0", "v0.11.0"];
const K3S = "v1.34.2+k3s1";

/** Devices a and b of ring canary, c and d of broad; d pulls without an agent. */
const tokyo = (next: string) => `region: tokyo
gitops:
  engine: argocd-agent
  agent: { version: ${OLD}, address: tokyo.example.com, generation: 2026${next} }
devices:
  - { id: a, host: 10.0.0.1, model: box, ring: canary }
  - { id: b, host: 10.0.0.2, model: box, ring: canary }
  - { id: c, host: 10.0.0.3, model: box, ring: broad }
  - { id: d, host: 10.0.0.4, model: box, ring: broad, gitops: { engine: argocd } }
`;
const moving = (...rings: readonly string[]) =>
  `, next: { version: ${NEW}, address: next.example.com, port: 8443, rings: [${rings.join(", ")}] }`;
const END =
  "Next: every agent of tokyo is on v0.11.0: in gitops.agent write version v0.11.0, address next.example.com and port 8443, " +
  "delete next, then pulumi up --stack hub, which takes the principal of v0.10.0 away";

const CASES: readonly (readonly [
  what: string,
  next: string,
  agents: Readonly<Record<string, string>>,
  args: readonly string[],
  told: readonly string[],
])[] = [
  ["a region that is not moved", "", {}, [], []],
  [
    "no ring is moved yet",
    moving(),
    { a: OLD, b: OLD, c: OLD },
    [],
    ["tokyo: argocd-agent: v0.10.0 3 wanted, 3 applied"],
  ],
  [
    "a ring that no run has moved yet",
    moving("canary"),
    { a: OLD, b: OLD, c: OLD },
    [],
    ["tokyo: argocd-agent: v0.10.0 1 wanted, 1 applied; v0.11.0 2 wanted, 0 applied"],
  ],
  [
    "a ring of which one device is moved",
    moving("canary"),
    { a: NEW, c: OLD },
    [],
    ["tokyo: argocd-agent: v0.10.0 1 wanted, 1 applied; v0.11.0 2 wanted, 1 applied"],
  ],
  [
    "all rings, and a device that is not known to have followed",
    moving("canary", "broad"),
    { a: NEW, b: NEW },
    [],
    ["tokyo: argocd-agent: v0.11.0 3 wanted, 2 applied"],
  ],
  [
    "all devices of all rings",
    moving("canary", "broad"),
    { a: NEW, b: NEW, c: NEW },
    [],
    ["tokyo: argocd-agent: v0.11.0 3 wanted, 3 applied", END],
  ],
  [
    "all devices of the ring that is asked for, which is not all",
    moving("canary"),
    { a: NEW, b: NEW, c: OLD },
    ["--ring", "canary"],
    ["tokyo: argocd-agent: v0.11.0 2 wanted, 2 applied"],
  ],
];

for (const [what, next, agents, args, told] of CASES)
  test(`status of ${what}`, async (context) => {
    const inventory = writeInventory(context, { "tokyo.yaml": tokyo(next) });
    const applied = Object.fromEntries(["a", "b", "c", "d"].map((id) => [id, K3S]));
    const environment = fakePulumi(context, { tokyo: { applied, agents } });
    const run = (...more: string[]) =>
      edgeFleet(["status", "--inventory", inventory, ...args, ...more], { environment });
    const { exitCode, stdout, stderr } = await run();
    assert.deepEqual([exitCode, stderr], [0, ""]);
    assert.deepEqual(
      stdout.split("\n").filter((line) => /agent/.test(line)),
      told,
    );
    const devices = JSON.parse((await run("--json")).stdout) as Record<string, { agent?: { applied: string | null } }>;
    const known = Object.entries(devices).flatMap(([id, { agent }]) =>
      agent?.applied == null ? [] : [[id, agent.applied]],
    );
    const asked = Object.keys(devices);
    assert.deepEqual(
      Object.fromEntries(known),
      Object.fromEntries(Object.entries(agents).filter(([id]) => asked.includes(id))),
    );
    assert.equal(devices.d?.agent, undefined);
  });

test("explain says which agent a device of a ring that is moved has, and why", async (context) => {
  const inventory = writeInventory(context, { "tokyo.yaml": tokyo(moving("canary")) });
  const told = async (device: string) =>
    (await edgeFleet(["explain", device, "--inventory", inventory])).stdout
      .split("\n")
      .filter((line) => /^argocd-agent/.test(line));
  assert.deepEqual(await told("a"), [
    "argocd-agent v0.11.0 at next.example.com:8443, as gitops.agent.next.rings has canary",
  ]);
  assert.deepEqual(await told("c"), []);
});
