import assert from "node:assert/strict";
import { test } from "node:test";
import { clockFinding, clockOffset } from "../../../cli/ssh/clock.ts";

const NOW = 1_790_000_000;

for (const [what, device, before, after, offset] of [
  ["the same second", NOW, NOW + 0.4, NOW + 0.6, 0],
  ["a fast link", NOW + 100, NOW, NOW + 1, 99],
  ["a link of four minutes, the clock right", NOW + 200, NOW, NOW + 240, 0],
  ["a link of four minutes, the clock behind", NOW - 40, NOW, NOW + 240, -40],
  ["a link of four minutes, the clock ahead", NOW + 300, NOW, NOW + 240, 60],
] as const) {
  test(`offset of a clock: ${what}`, () => assert.equal(clockOffset(device, { before, after }), offset));
}

test("up to half a minute beyond what the link explains is no finding", () => {
  const bracket = { before: NOW, after: NOW + 10 };
  for (const seconds of [NOW - 30, NOW, NOW + 10, NOW + 40]) assert.equal(clockFinding(seconds, bracket), undefined);
  assert.match(
    clockFinding(NOW + 41, bracket) ?? "",
    /^the clock says 2026-09-21T14:14:01Z, the workstation 2026-09-21T14:13:30Z: .* - set it \(timedatectl set-time, /,
  );
  assert.match(clockFinding(NOW - 31, bracket) ?? "", /^the clock says 2026-09-21T14:12:49Z, the workstation 2026-/);
});
