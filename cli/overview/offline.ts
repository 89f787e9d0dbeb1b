/** What happens to this fleet's devices when a link drops: one statement per kind of device. Pure. */
import type { Profile } from "../../components/inventory/index.ts";

/** What a number of devices does without its links. */
export interface OfflineBehaviour {
  readonly what: string;
  readonly devices: number;
}

const ENGINES: Readonly<Record<Profile["gitops"]["engine"], string>> = {
  "argocd-agent":
    "argocd-agent: heals drift from the checkout of its ring's commit; takes the current commit when the hub answers again",
  argocd: "argocd: heals drift from the checkout of its ring's commit; takes the current commit when Git answers again",
  none: "none: nothing pulls or heals workloads",
  flux: "flux: heals drift from the last artifact it fetched; takes the current commit when Git answers again",
};

/** Statements, in a fixed order; those that hold for no device are left out. */
export function describeOffline(profiles: readonly Profile[]): OfflineBehaviour[] {
  const having = (what: string, holds: (profile: Profile) => boolean): OfflineBehaviour => ({
    what,
    devices: profiles.filter(holds).length,
  });
  const engines = Object.entries(ENGINES).map(([engine, what]) =>
    having(what, ({ gitops, joins }) => joins === undefined && gitops.engine === engine),
  );
  return [
    having(
      "workloads keep running: the control plane and its datastore are on the device",
      ({ joins }) => joins === undefined,
    ),
    having(
      "pods keep running, and no new ones start while the server of their site is away",
      ({ joins }) => joins !== undefined,
    ),
    ...engines,
    having(
      "boots without a network: a last-resort route stands in for the default one",
      ({ network }) => network.dummyRoute,
    ),
    having("starts its images from the air-gap archive, without a registry", ({ artifacts }) => artifacts.images),
    having("`up` reports it as pending, changes nothing, and applies what it missed in the next run", () => true),
  ].filter(({ devices }) => devices > 0);
}
