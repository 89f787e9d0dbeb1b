/** What a ring ran and since when, by the commits of its file. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  currentPeriod,
  earlierRevisions,
  type RingCommit,
  ringPeriods,
  soakedBefore,
} from "../../../../cli/rollout/history.ts";

/** A history in time order, one step an hour: a letter a revision, `-` no file. */
function history(steps: string): RingCommit[] {
  return [...steps]
    .map((step, hour) => ({
      commit: `commit-${hour}`,
      at: hour * 3_600_000,
      author: "ann",
      subject: "s",
      revision: step === "-" ? undefined : step,
    }))
    .reverse();
}

const hours = (count: number): number => count * 3_600_000;

for (const [steps, periods] of [
  ["", []],
  ["A", ["A 0-"]],
  ["AAB", ["A 0-2", "B 2-"]],
  ["ABA", ["A 0-1", "B 1-2", "A 2-"]],
  ["A-A", ["A 0-1", "A 2-"]],
  ["AB-", ["A 0-1", "B 1-2"]],
  ["AB--", ["A 0-1", "B 1-2"]],
  ["-A", ["A 1-"]],
] as const) {
  test(`history ${JSON.stringify(steps)} has the periods ${periods.join(", ") || "none"}`, () => {
    const told = ringPeriods(history(steps)).map(
      ({ revision, since, until }) =>
        `${revision} ${since / 3_600_000}-${until === undefined ? "" : until / 3_600_000}`,
    );
    assert.deepEqual(told, periods);
  });
}

for (const [steps, earlier] of [
  ["", ""],
  ["A", ""],
  ["AB", "A"],
  ["ABC", "BA"],
  // B was rolled back: going back from A must not lead to it.
  ["ABA", ""],
  ["ABCB", "A"],
  ["ABCBD", "BA"],
  ["ABCA", ""],
  ["ABCBA", ""],
  ["ABAB", "A"],
  // The ring deploys nothing now: all it ran can come back.
  ["AB-", "BA"],
] as const) {
  test(`after ${JSON.stringify(steps)} a rollback can go to ${earlier || "nothing"}`, () => {
    assert.equal(earlierRevisions(ringPeriods(history(steps))).join(""), earlier);
  });
}

test("rolling back again and again ends at the first revision, and never comes to one twice", () => {
  const steps = fc.array(fc.constantFrom("A", "B", "C", "D"), { minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(steps, (list) => {
      const seen: string[] = [];
      let now = list.join("");
      for (;;) {
        const [next] = earlierRevisions(ringPeriods(history(now)));
        if (next === undefined) break;
        assert.ok(!seen.includes(next));
        seen.push(next);
        now += next;
      }
      assert.equal(currentPeriod(ringPeriods(history(now)))?.revision, list[0]);
    }),
  );
});

for (const [steps, revision, soaked] of [
  ["A", "A", undefined],
  ["AAB", "B", undefined],
  ["AAB", "A", 2],
  ["AAB", "C", undefined],
  // Two short runs do not add up to a long one.
  ["ABABBBA", "B", 3],
  ["AAABA", "A", 3],
  ["AAAAAAAB-A", "A", 7],
] as const) {
  test(`before what it runs after ${steps}, a ring has run ${revision} for ${soaked ?? "no"} hours`, () => {
    assert.equal(soakedBefore(ringPeriods(history(steps)), revision), soaked === undefined ? undefined : hours(soaked));
  });
}
