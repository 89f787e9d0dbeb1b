/** In which order test files run, and what is kept of how long they took. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { keepDurations, longestFirst, readDurations } from "../durations.ts";
import { processFolder } from "../temporary.ts";

test("files of which nothing is known go first, then the longest", () => {
  const durations = { "short.ts": 1, "long.ts": 30, "gone.ts": 99 };
  assert.deepEqual(longestFirst(["new.ts", "short.ts", "long.ts", "other.ts"], durations), [
    ...["new.ts", "other.ts"],
    ...["long.ts", "short.ts"],
  ]);
});

test("what is kept of a run takes the place of what was known of the same files, and leaves the others", () => {
  const path = join(processFolder("durations"), "cache", "durations.json");
  assert.deepEqual(readDurations(path), {});
  keepDurations({ "a.ts": 1, "b.ts": 2 }, path);
  keepDurations({ "b.ts": 3 }, path);
  assert.deepEqual(readDurations(path), { "a.ts": 1, "b.ts": 3 });
});
