/** The tests that kill the device program with SIGKILL at every step and file, for a distribution other than K3s. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { ApplyResult } from "../../../components/device/apply.ts";
import type { Profile } from "../../../components/inventory/types.ts";
import { countFaults } from "../faults.ts";
import { type Device, finishAfterKill, KILL_POINTS } from "./apply-device.ts";
import { Sandbox, type SandboxShell } from "./sandbox.ts";

/** A device of one distribution. */
interface Subject {
  readonly device: Device;
  apply(profile: Profile): ApplyResult;
  assertRuns(profile: Profile): void;
  wipe(): void;
}

/** A distribution, two states of a device with it, and the file of its datastore. */
interface Distribution {
  readonly name: string;
  readonly old: Profile;
  readonly next: Profile;
  readonly datastore: string;
  start(sandbox: Sandbox): Subject;
}

/**
 * Declares the tests that kill a first install and an upgrade at every point, under each shell. What follows a killed upgrade
 * is one thing a shell, since apply-killed.test.ts tries all for the steps, which are the same for every distribution.
 */
export function describeKills({ name, old, next, datastore, start }: Distribution): void {
  const faults = countFaults();
  for (const shell of ["dash", "busybox"] satisfies SandboxShell[]) {
    describe(`${name}, interrupted under ${shell}`, () => {
      let sandbox: Sandbox;
      let subject: Subject;
      before(async () => {
        sandbox = await Sandbox.start(shell);
        subject = start(sandbox);
      });
      after(() => sandbox.stop());

      const survive = (point: string, target: Profile, final: Profile): void =>
        faults.survive("killed", () => {
          finishAfterKill(subject.device, (profile: Profile) => subject.apply(profile), point, target, final);
          subject.assertRuns(final);
          subject.device.assertTidy();
        });

      test("a first install that is killed anywhere is finished by the next run", () => {
        for (const point of KILL_POINTS) {
          subject.wipe();
          survive(point, old, old);
        }
      });

      if (shell === "dash")
        test("an upgrade that is killed anywhere is undone by a run of the former state", () => {
          subject.device.sh(`echo precious >${datastore}`);
          for (const point of KILL_POINTS) {
            survive(point, next, old);
            assert.equal(subject.device.sh(`cat ${datastore}`), "precious", point);
          }
        });
      else
        test("an upgrade that is killed anywhere is finished by the next run", () => {
          let [present, target] = [old, next];
          subject.device.sh(`echo precious >${datastore}`);
          for (const point of KILL_POINTS) {
            survive(point, target, target);
            assert.equal(subject.device.sh(`cat ${datastore}`), "precious", point);
            [present, target] = [target, present];
          }
        });
    });
  }
}
