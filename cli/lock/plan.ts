/**
 * What the lock file has to hold: one entry per file that the fleet uses, with the place in the lock file, the place on
 * the network, and what is locked now. Pure. Versions are exact releases (the schema refuses anything else), so nothing
 * here resolves a channel. A new source of artifacts is one file in sources/ and one line in {@link SOURCES}.
 */
import { type Inventory, resolveFleet } from "../../components/inventory/index.ts";
import { type LockContext, type ReleaseBases, UPSTREAM, type UsedArtifact } from "./artifact.ts";
import { planArgoCd } from "./sources/argocd.ts";
import { planArgoCdAgent } from "./sources/argocd-agent.ts";
import { planDistributions } from "./sources/distributions.ts";
import { planExternalSecrets } from "./sources/external-secrets.ts";
import { planFlux } from "./sources/flux.ts";
import { planSealedSecrets } from "./sources/sealed-secrets.ts";
import { planWasm } from "./sources/wasm.ts";

/** Name of the lock file in the inventory's folder. */
export const LOCK_FILE = "artifacts.lock.yaml";

/** Sources in the order of the report. */
const SOURCES: readonly ((context: LockContext) => UsedArtifact[])[] = [
  planDistributions,
  planWasm,
  planArgoCd,
  planArgoCdAgent,
  planFlux,
  planSealedSecrets,
  planExternalSecrets,
];

/**
 * Lists what is used.
 * @param bases default: {@link UPSTREAM}
 * @param shims releases of WASM shims by runtime. Default: as locked, else those of sources/wasm.ts
 * @param profiles every device of the fleet. Default: resolved from the inventory
 * @throws Error naming a runtime in `shims` that no device uses
 */
export function planLock(
  inventory: Inventory,
  bases: ReleaseBases = UPSTREAM,
  shims: LockContext["shims"] = {},
  profiles: LockContext["profiles"] = resolveFleet(inventory),
): UsedArtifact[] {
  const context = { inventory, profiles, bases, shims };
  return SOURCES.flatMap((source) => source(context));
}
