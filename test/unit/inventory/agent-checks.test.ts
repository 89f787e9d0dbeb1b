/** What `gitops.agent.next` may say, each mistake at its place in the file. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { FLEET, problemsOf, REGION } from "./folder.ts";

const AGENT = `  agent:
    version: v0.10.0
    address: tokyo.hub.example.com
    generation: 2026
`;
const region = (next: string, agent = AGENT) => `${REGION}gitops:\n  engine: argocd-agent\n${agent}    next: ${next}\n`;

for (const [what, tokyo, problems, fleet] of [
  ["a principal that no ring is moved to yet", region("{version: v0.11.0, address: next.example.com}"), []],
  ["rings that are moved", region("{version: v0.11.0, address: next.example.com, rings: [canary, broad]}"), []],
  ["another port of one address", region("{version: v0.11.0, address: tokyo.hub.example.com, port: 8443}"), []],
  [
    "rings that are not of the fleet",
    region("{version: v0.11.0, address: next.example.com, rings: [canary, nightly]}"),
    [
      "tokyo.yaml:12:64 gitops.agent.next.rings: nightly is no ring of the fleet - use canary, broad (device tokyo-0001)",
    ],
  ],
  [
    "the release that the region has",
    region("{version: v0.10.0, address: next.example.com}"),
    [
      "tokyo.yaml:12:21 gitops.agent.next.version: is v0.10.0, as gitops.agent.version - write another release, or delete next (device tokyo-0001)",
    ],
  ],
  [
    "the release that the region has by default",
    region("{version: v0.10.0, address: next.example.com}", AGENT.replace("    version: v0.10.0\n", "")),
    [
      "tokyo.yaml:11:21 gitops.agent.next.version: is v0.10.0, as gitops.agent.version - write another release, or delete next (device tokyo-0001)",
    ],
  ],
  [
    "the place of the first principal",
    region("{version: v0.11.0, address: Tokyo.hub.example.com}"),
    [
      "tokyo.yaml:12:39 gitops.agent.next.address: Tokyo.hub.example.com and port 443 are those of the first principal - write another address or another port (device tokyo-0001)",
    ],
  ],
  [
    "the port of the first principal on the same nodes",
    region("{version: v0.11.0, address: next.example.com, port: 443}"),
    [
      "tokyo.yaml:12:63 gitops.agent.next.port: 443 is the first principal's on every node - write another one (device tokyo-0001)",
    ],
    FLEET.replace("hub:\n", "hub:\n  principal: {service: NodePort}\n"),
  ],
  [
    "no address",
    region("{version: v0.11.0}"),
    ["tokyo.yaml:12:11 gitops.agent.next.address: is missing - write a string"],
  ],
  [
    "no release",
    region("{version: next, address: next.example.com}"),
    ["tokyo.yaml:12:21 gitops.agent.next.version: is not a release of argocd-agent - write e.g. v0.10.0"],
  ],
] as const)
  test(`gitops.agent.next with ${what} is ${problems.length === 0 ? "taken" : "refused at its place"}`, () => {
    assert.deepEqual(problemsOf({ "tokyo.yaml": tokyo, ...(fleet === undefined ? {} : { "fleet.yaml": fleet }) }), [
      ...problems,
    ]);
  });
