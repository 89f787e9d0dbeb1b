import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  kubeletReservations,
  MINIMUM_AGENT_MEMORY_MIB,
  MINIMUM_MEMORY_MIB,
  type NodeRole,
  podMemoryMiB,
} from "../../../components/plan/distributions/reservations.ts";

const MINIMUM: Readonly<Record<NodeRole, number>> = { server: MINIMUM_MEMORY_MIB, agent: MINIMUM_AGENT_MEMORY_MIB };
const PARTS = ["systemMiB", "kubernetesMiB", "evictionMiB"] as const;

for (const role of ["server", "agent"] as const) {
  const memory = fc.integer({ min: MINIMUM[role], max: 65_536 });

  test(`reservations and eviction leave at least three tenths of the memory to the pods of a ${role}`, () => {
    fc.assert(
      fc.property(memory, (memoryMiB) => {
        const reservations = kubeletReservations(memoryMiB, role);
        const kept = PARTS.reduce((sum, part) => sum + reservations[part], 0);
        for (const part of PARTS) assert.ok(reservations[part] > 0, part);
        assert.ok(kept <= memoryMiB * 0.7, `${kept} of ${memoryMiB} MiB`);
        assert.equal(podMemoryMiB(memoryMiB, role), memoryMiB - kept);
      }),
    );
  });

  test(`more memory never means smaller reservations of a ${role}`, () => {
    fc.assert(
      fc.property(memory, memory, (one, other) => {
        const small = kubeletReservations(Math.min(one, other), role);
        const large = kubeletReservations(Math.max(one, other), role);
        for (const part of PARTS) assert.ok(small[part] <= large[part], part);
      }),
    );
  });
}

test("an agent never keeps more back than a server of the same memory", () => {
  fc.assert(
    fc.property(fc.integer({ min: MINIMUM_MEMORY_MIB, max: 65_536 }), (memoryMiB) => {
      assert.ok(podMemoryMiB(memoryMiB, "agent") >= podMemoryMiB(memoryMiB, "server"));
    }),
  );
});

/** Memory of the common models in MiB, and what is left for pods on a server and on an agent. */
const MODELS: readonly (readonly [memoryMiB: number, server: number | undefined, agent: number])[] = [
  [512, undefined, 212],
  [1024, 324, 524],
  [2048, 1128, 1548],
  [4096, 3096, 3396],
  [8192, 6792, 7192],
];

for (const [memoryMiB, server, agent] of MODELS) {
  test(`${memoryMiB} MiB leave ${server ?? "nothing"} MiB to pods of a server and ${agent} MiB to those of an agent`, () => {
    if (server === undefined) assert.throws(() => podMemoryMiB(memoryMiB, "server"), /use a model with at least 1Gi$/);
    else assert.equal(podMemoryMiB(memoryMiB), server);
    assert.equal(podMemoryMiB(memoryMiB, "agent"), agent);
  });
}

test("less than the minimum of a role is refused with the fix", () => {
  assert.throws(() => kubeletReservations(1023), {
    name: "RangeError",
    message: "1023 MiB of memory is not enough for a K3s server - use a model with at least 1Gi",
  });
  assert.throws(() => kubeletReservations(511, "agent"), {
    name: "RangeError",
    message: "511 MiB of memory is not enough for a K3s agent - use a model with at least 512Mi",
  });
});
