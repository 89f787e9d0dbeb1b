/**
 * The end of the demo: a workload on the devices that run pods, promoted in Git, healed with Git off, caught up when Git is
 * back, and uninstalled when it is dropped. What is waited for is printed with how long it took.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { type PullFleet, WORKLOADS } from "./pull-fleet.ts";

/** How the demo tells what it does. */
export interface Teller {
  /** Begins a step. */
  title(text: string): void;
  /** Prints a line. */
  say(text: string): void;
  /** Runs and shows a command of edge-fleet. */
  show(args: readonly string[]): Promise<void>;
}

/** Patience with one thing, in milliseconds. */
const PATIENCE = 120_000;

/** Tells the end. @param ids devices that run pods @param rings of the fleet */
export async function tellPulls(
  pull: PullFleet,
  ids: readonly string[],
  rings: readonly string[],
  teller: Teller,
): Promise<void> {
  const { title, say } = teller;
  const everywhere = (what: string, look: (id: string) => Promise<boolean>) => awaitAll(ids, what, look, say);
  const level = (wanted: string) => async (id: string) => (await pull.level(id)) === wanted;
  title(`${ids.join(", ")} run pods: Argo CD came with up and reads Git. Promote a workload, ring after ring`);
  await everywhere("Argo CD has read the device's entry", async (id) => {
    return (await pull.application(id, "edge-root"))?.sync === "Synced";
  });
  for (const id of ids) await pull.quicken(id);
  say("  (from here on they look at Git every 5 s instead of every 10 minutes, for the demo's sake)");
  await promote(pull, rings, "one", teller);
  await everywhere("runs on every device", level("one"));
  say((await pull.kubectl(ids[0] ?? "", `-n ${WORKLOADS} get pods,configmaps`)).replaceAll(/^/gm, "  "));
  title(
    "Git is off, and somebody deletes what the devices run: it heals, since each is pinned to a commit that it has",
  );
  await pull.git.stop();
  await sleep(12_000);
  for (const id of ids) await pull.kubectl(id, `-n ${WORKLOADS} delete deployment/web configmap/settings --wait=false`);
  await everywhere("healed without Git", level("one"));
  title("A change is promoted meanwhile; then Git is back, and the devices catch up");
  await promote(pull, rings, "two", teller);
  await pull.git.start();
  await everywhere("caught up", level("two"));
  title("The workload beside it is dropped in fleet.yaml with state: removed, and leaves the devices");
  pull.fleet.edit("fleet.yaml", (file) => file.setIn(["workloads", 0, "state"], "removed"));
  await pull.push("Remove extra");
  await everywhere("gone, with its objects", async (id) => {
    const kept = await pull.look(id, "-n extra get configmap extra -o name");
    return kept === "" && (await pull.application(id, "extra")) === undefined;
  });
  const { requests, received, sent } = pull.git.traffic();
  say(`  Git was asked ${requests} times: ${received} bytes in, ${sent} bytes out, TLS included`);
}

/** Waits for something on every device, and says how long it took. */
async function awaitAll(
  ids: readonly string[],
  what: string,
  look: (id: string) => Promise<boolean>,
  say: (text: string) => void,
): Promise<void> {
  const started = performance.now();
  for (const id of ids)
    while (!(await look(id))) {
      if (performance.now() - started > PATIENCE) throw new Error(`${id}: not within ${PATIENCE / 1000} s: ${what}`);
      await sleep(200);
    }
  say(`  ${what}: ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

async function promote(pull: PullFleet, rings: readonly string[], level: string, { show }: Teller): Promise<void> {
  pull.writeBase(level);
  const revision = await pull.push(`Level ${level}`);
  for (const ring of rings) {
    const order = ["--to", revision, "--push", "--no-diff", "--force", "demo: no time to soak"];
    await show(["promote", ring, "--tree", pull.fleet.tree, ...order]);
    pull.run("pull", "--quiet", "--ff-only");
  }
  await pull.pin(revision);
}
