/** The device program killed with SIGKILL at every step and file: where, and what the next run makes of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DeviceAnswer } from "../../../components/device/result.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { countFaults } from "../faults.ts";
import { type Device, underEachShellAs } from "./apply-device.ts";
import type { Sandbox, SandboxShell } from "./sandbox.ts";

/** Points at which the program of the tests can kill itself: its steps, before a backup is whole and before it takes the former one's place, and the first nine files that it puts. */
const KILL_POINTS: readonly string[] = [
  ...["begin", "preflight", "stage", "backup", "copied", "settle", "swap", "activate", "gate", "commit", "end"],
  ...Array.from({ length: 9 }, (_, index) => `put${index + 1}`),
];

/**
 * Every second point under one shell, and the others under the other: both run the same program, so a point that is tried
 * once is tried enough.
 * @param first shell of the first point
 */
export function halfOf<T>(points: readonly T[], shell: SandboxShell, first: SandboxShell = "dash"): T[] {
  return points.filter((_, index) => (index % 2 === 0) === (shell === first));
}

/** Points of a first install or an upgrade under a shell: each shell is killed at each point in one of the two. */
export function killPoints(shell: SandboxShell, what: "install" | "upgrade"): string[] {
  return halfOf(KILL_POINTS, shell, what === "install" ? "dash" : "busybox");
}

/**
 * Kills the run of a target at a point and applies the final state, which is then to be there.
 * @param apply applies one of them. Default: as the device does
 */
export function finishAfterKill(
  device: Device,
  point: string,
  target: Profile,
  final: Profile,
  apply: (profile: Profile) => DeviceAnswer = (profile) => device.apply(profile),
): void {
  device.killAt(point);
  assert.match(apply(target).reason, /^interrupted: /, point);
  device.killAt("");
  const { result, reason } = apply(final);
  assert.ok(["applied", "unchanged"].includes(result), `after ${point}: ${reason}`);
  device.assertIs(final);
}

/** A distribution other than K3s, two states of a device with it, and the file of its datastore. */
interface Distribution {
  readonly name: string;
  readonly Kind: new (sandbox: Sandbox) => Device;
  readonly old: Profile;
  readonly next: Profile;
  readonly datastore: string;
}

/**
 * Declares the tests that kill a first install and an upgrade at every point, under one shell or the other. What follows a killed upgrade
 * is one thing a shell, since apply-killed.test.ts tries all for the steps, which are the same for every distribution.
 */
export function describeKills({ name, Kind, old, next, datastore }: Distribution): void {
  const faults = countFaults();
  underEachShellAs(Kind, `${name}, interrupted`, (get, shell) => {
    test("a first install that is killed anywhere is finished by the next run", () => {
      const { device } = get();
      for (const point of killPoints(shell, "install")) {
        device.wipe();
        faults.survive("killed", () => finishAfterKill(device, point, old, old));
      }
    });

    const undone = shell === "dash";
    const end = undone ? "undone by a run of the former state" : "finished by the next run";
    test(`an upgrade that is killed anywhere is ${end}`, () => {
      const { device } = get();
      let [present, target] = [old, next];
      device.sh(`echo precious >${datastore}`);
      for (const point of killPoints(shell, "upgrade")) {
        const final = undone ? present : target;
        faults.survive("killed", () => finishAfterKill(device, point, target, final));
        assert.equal(device.sh(`cat ${datastore}`), "precious", point);
        if (!undone) [present, target] = [target, present];
      }
    });
  });
}
