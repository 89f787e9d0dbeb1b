/**
 * What a run changes, by cause: a few lines for people, each at the place in the inventory that it comes from. Pure.
 */
import { isMoved } from "../gitops/engine/agent/settings.ts";
import { describePlaced, type Inventory, placeProblems, type SettingProblem } from "../inventory/index.ts";
import { planLines, settingLines } from "../plan/text.ts";
import type { DeviceRun } from "./plan.ts";

/** Most devices that one line names. */
const NAMED = 3;

/** Lines of a plan that follow from others, or that a line of their own tells. */
const DERIVED = /^(payload|program|device|region|remove|artifact .*|file .*)$/;

/** One difference between two plans of a device. */
interface Difference {
  readonly name: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/**
 * Describes a run. A change that many devices share is one line.
 * @returns no line where nothing changes
 */
export function describeRunChanges(inventory: Inventory, runs: readonly DeviceRun[]): string[] {
  const changed = runs.filter(({ dial, plan }) => dial?.changed === true && plan !== undefined);
  const isNew = ({ previous }: DeviceRun): boolean => previous === undefined;
  const leaves = ({ plan }: DeviceRun): boolean => plan?.payload === undefined;
  const known = changed.filter((run) => !isNew(run) && !leaves(run));
  const [edited, same] = split(known, ({ previous, plan }) => previous?.text !== plan?.text);
  const removed = changed.filter(leaves);
  return [
    ...line(
      "new",
      changed.filter((run) => isNew(run) && !leaves(run)),
    ),
    ...describeEdits(inventory, edited),
    ...line(
      "to leave the fleet, wiped",
      removed.filter(({ profile }) => profile.decommission === "wipe"),
    ),
    ...line(
      "to leave the fleet, retained",
      removed.filter(({ profile }) => profile.decommission === "retain"),
    ),
    ...describeRetries(same),
  ];
}

/** Devices whose plan has not changed: tried again, or sent another secret. */
function describeRetries(runs: readonly DeviceRun[]): string[] {
  const [retried, secrets] = split(runs, ({ previous }) => previous?.outcome?.state !== "applied");
  const byCode = Map.groupBy(retried, ({ previous }) => previous?.outcome?.code ?? "interrupted");
  return [
    ...[...byCode].flatMap(([code, devices]) => line(`tried again (${code})`, devices)),
    ...line("another secret", secrets),
  ];
}

function describeEdits(inventory: Inventory, runs: readonly DeviceRun[]): string[] {
  const differences = new Map(runs.map((run) => [run, differencesOf(run)]));
  const settings: SettingProblem[] = [];
  const releases: DeviceRun[] = [];
  const others: DeviceRun[] = [];
  for (const [run, all] of differences) {
    const direct = all.filter(({ name }) => !DERIVED.test(name) && name !== "release");
    settings.push(...direct.map((difference) => settingOf(run, difference)));
    if (all.some(({ name }) => name === "program")) releases.push(run);
    else if (direct.length === 0) others.push(run);
  }
  return [
    ...describePlaced(placeProblems(inventory, settings)),
    ...line("another release of edge-fleet", releases),
    ...[...Map.groupBy(others, (run) => namesOf(differences.get(run) ?? []))].flatMap(([names, devices]) =>
      line(names, devices),
    ),
  ];
}

/** What differs where no setting does: files and artifacts, which another lock or a secret's name may change. */
function namesOf(differences: readonly Difference[]): string {
  const names = differences.map(({ name }) => name).filter((name) => name !== "payload");
  return names.join(", ") || "how it is installed";
}

function differencesOf({ previous, plan }: DeviceRun): Difference[] {
  const [before, after] = [planLines(previous?.text ?? ""), planLines(plan?.text ?? "")];
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  return names
    .map((name) => ({ name, before: before.get(name), after: after.get(name) }))
    .filter((difference) => difference.before !== difference.after);
}

/** Lines of a plan that `gitops.agent.next` decides for a device whose ring is moved. */
const MOVED = /^gitops\.agent\.(version|address|port)$/;

function settingOf({ profile }: DeviceRun, { name, before, after }: Difference): SettingProblem {
  const path = settingLines(profile).find((line) => line.path.join(".") === name)?.path ?? name.split(".");
  const setting = isMoved(profile) && MOVED.test(name) ? path.toSpliced(2, 0, "next") : path;
  return { profile, setting, message: `${before ?? "(unset)"} -> ${after ?? "(unset)"}` };
}

function line(what: string, runs: readonly DeviceRun[]): string[] {
  if (runs.length === 0) return [];
  const ids = runs.map(({ id }) => id);
  const more = ids.length > NAMED ? ` and ${ids.length - NAMED} more` : "";
  const count = `${ids.length} ${ids.length === 1 ? "device" : "devices"}`;
  return [`${what}: ${count} (${ids.slice(0, NAMED).join(", ")}${more})`];
}

function split<T>(items: readonly T[], belongs: (item: T) => boolean): [T[], T[]] {
  return [items.filter(belongs), items.filter((item) => !belongs(item))];
}
