/** One run of the doctor: examines the devices, a bounded number at a time, and compares them with each other. */
import type { Inventory, Profile } from "../../components/inventory/index.ts";
import { mapBounded } from "../parallel.ts";
import { withSsh } from "../ssh/run.ts";
import { Progress } from "../terminal.ts";
import { examineDevice } from "./connect.ts";
import { compareDevices } from "./duplicates.ts";
import type { DoctorOutcome } from "./outcome.ts";

/** How a run is bounded. */
export interface DoctorRun {
  readonly inventory: Inventory;
  readonly profiles: readonly Profile[];
  /** Connections at a time. */
  readonly parallel: number;
  /** Milliseconds per device. */
  readonly timeoutMs: number;
  /** Devices may fix their memory cgroup and reboot. */
  readonly allowReboot: boolean;
  /** Ends the connecting; what is known so far is still reported. */
  readonly signal: AbortSignal;
}

/** Runs it. @returns one outcome per profile, in their order */
export async function runDoctor(run: DoctorRun): Promise<DoctorOutcome[]> {
  const { inventory, profiles, timeoutMs, allowReboot, signal } = run;
  const progress = new Progress("doctor", profiles.length);
  const outcomes = await withSsh((connect) => {
    const work = async (profile: Profile): Promise<DoctorOutcome> => {
      const examination = { profile, lock: inventory.artifacts, allowReboot };
      const outcome = await examineDevice(connect, examination, { timeoutMs, signal });
      progress.advance();
      return outcome;
    };
    return mapBounded(profiles, run.parallel, work, signal);
  });
  progress.end();
  const known = new Map(compareDevices(outcomes, inventory).map((outcome) => [outcome.id, outcome]));
  return profiles.map(({ id }) => known.get(id) ?? interrupted(id));
}

function interrupted(id: string): DoctorOutcome {
  return { id, state: "pending", code: "interrupted", reason: "not tried: interrupted" };
}
