/**
 * Cloned images: devices that answer with the same host key, machine id or identity key as another one, of the run or
 * of the inventory's pins. None of the clones is enrolled.
 */
import type { Inventory } from "../../components/inventory/index.ts";
import type { EnrolledOutcome, Enrollment, FailedOutcome, Outcome } from "./outcome.ts";

interface Trait {
  readonly code: string;
  readonly name: string;
  readonly fix: string;
  readonly read: (enrollment: PartialEnrollment) => string | undefined;
}

interface PartialEnrollment {
  readonly hostKey?: string | undefined;
  readonly identityKey?: string | undefined;
  readonly facts?: { readonly machineId?: string | undefined } | undefined;
}

const TRAITS: readonly Trait[] = [
  {
    code: "duplicate-host-key",
    name: "host key",
    fix: "remove /etc/ssh/ssh_host_* on the clone, run ssh-keygen -A, restart its SSH server; or two entries mean one device",
    read: ({ hostKey }) => hostKey,
  },
  {
    code: "duplicate-machine-id",
    name: "machine id",
    fix: "remove /etc/machine-id on the clone and run systemd-machine-id-setup",
    read: ({ facts }) => facts?.machineId,
  },
  {
    code: "duplicate-identity-key",
    name: "identity key",
    fix: "remove /var/lib/edge-fleet/identity.key on the clone",
    read: ({ identityKey }) => identityKey,
  },
];

/**
 * Fails every newly enrolled device that shares a trait with another device, new or pinned.
 * @param outcomes of one run
 * @param inventory as it was when the run began
 */
export function refuseDuplicates(outcomes: readonly Outcome[], inventory: Inventory): Outcome[] {
  const owners = TRAITS.map((trait) => ownersOf(trait, outcomes, inventory));
  return outcomes.map((outcome) => {
    if (outcome.state !== "enrolled") return outcome;
    for (const [index, trait] of TRAITS.entries()) {
      const value = trait.read(outcome.enrollment);
      const others = [...(owners[index]?.get(value ?? "") ?? [])].filter((id) => id !== outcome.id);
      if (value !== undefined && others.length > 0) return failed(outcome, trait, others);
    }
    return outcome;
  });
}

function ownersOf(trait: Trait, outcomes: readonly Outcome[], inventory: Inventory): Map<string, Set<string>> {
  const owners = new Map<string, Set<string>>();
  const add = (id: string, enrollment: PartialEnrollment): void => {
    const value = trait.read(enrollment);
    if (value !== undefined) owners.set(value, (owners.get(value) ?? new Set()).add(id));
  };
  const fresh = new Map<string, Enrollment>();
  for (const outcome of outcomes) if (outcome.state === "enrolled") fresh.set(outcome.id, outcome.enrollment);
  for (const { devices } of inventory.regions.values()) {
    for (const { entry } of devices) if (!fresh.has(entry.id)) add(entry.id, entry);
  }
  for (const [id, enrollment] of fresh) add(id, enrollment);
  return owners;
}

function failed(outcome: EnrolledOutcome, trait: Trait, others: readonly string[]): FailedOutcome {
  const list = others.length > 3 ? `${others.slice(0, 3).join(", ")} and ${others.length - 3} more` : others.join(", ");
  return {
    id: outcome.id,
    state: "failed",
    code: trait.code,
    reason: `same ${trait.name} as ${list}: a cloned image - ${trait.fix}`,
    fingerprint: outcome.fingerprint,
  };
}
