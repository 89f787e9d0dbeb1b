/**
 * Frozen rings: from `rollout/freeze.yaml` in the tree to the freezes, and back. The file is not below `rings/`: Argo CD's
 * Git generator matches `rings/*.yaml` in folders below too and would take it for a ring.
 */
import { z } from "zod";
import { RolloutFileError } from "../../components/gitops/rings.ts";
import { formatYaml } from "../../components/gitops/yaml.ts";
import { parseYamlFile } from "../../components/inventory/files.ts";

/** Path of the file below the tree. */
export const FREEZE_FILE = "rollout/freeze.yaml";

const FreezeSchema = z.strictObject({
  reason: z.string().min(1).optional(),
  since: z.iso.datetime({ offset: true, error: "is not a date - write RFC 3339, e.g. 2026-05-01T08:00:00Z" }),
});

const FreezesSchema = z.strictObject({
  fleet: FreezeSchema.optional(),
  rings: z.record(z.string(), FreezeSchema).optional(),
});

/** Why and since when nothing is promoted. */
export type Freeze = z.infer<typeof FreezeSchema>;

/** Freezes of the whole fleet and of single rings. */
export interface Freezes {
  /** Absent: the fleet as a whole is not frozen. */
  readonly fleet?: Freeze | undefined;
  readonly rings: Readonly<Record<string, Freeze>>;
}

/** Nothing is frozen. */
export const NO_FREEZES: Freezes = { rings: {} };

/**
 * Parses the file.
 * @param file its path, for messages
 * @throws RolloutFileError with every problem: what cannot be read must not let a promotion pass
 */
export function parseFreezes(file: string, text: string): Freezes {
  const problems: string[] = [];
  const { value } = parseYamlFile(file, text, FreezesSchema, problems);
  if (value === undefined) throw new RolloutFileError(problems);
  return { ...value, rings: value.rings ?? {} };
}

/** The bytes of the file, undefined when nothing is frozen and so there is none. */
export function renderFreezes({ fleet, rings }: Freezes): string | undefined {
  const frozen = Object.entries(rings).sort(([a], [b]) => (a < b ? -1 : 1));
  if (fleet === undefined && frozen.length === 0) return undefined;
  return formatYaml(["Rings that may not be promoted. Set and lifted with `edge-fleet freeze`."], {
    ...(fleet === undefined ? {} : { fleet }),
    ...(frozen.length === 0 ? {} : { rings: Object.fromEntries(frozen) }),
  });
}

/** The freeze that holds for a ring: that of the fleet, or its own. */
export function freezeOf(freezes: Freezes, ring: string): Freeze | undefined {
  return freezes.fleet ?? (Object.hasOwn(freezes.rings, ring) ? freezes.rings[ring] : undefined);
}

/** As before, and this ring (undefined: the whole fleet) is frozen. A freeze that stands keeps its date. */
export function withFreeze(freezes: Freezes, ring: string | undefined, freeze: Freeze): Freezes {
  const renewed = (standing: Freeze | undefined): Freeze => ({ ...freeze, since: standing?.since ?? freeze.since });
  if (ring === undefined) return { ...freezes, fleet: renewed(freezes.fleet) };
  return { ...freezes, rings: { ...freezes.rings, [ring]: renewed(freezes.rings[ring]) } };
}

/** As before without the freeze of this ring; undefined: without any. */
export function withoutFreeze(freezes: Freezes, ring: string | undefined): Freezes {
  if (ring === undefined) return NO_FREEZES;
  return { ...freezes, rings: Object.fromEntries(Object.entries(freezes.rings).filter(([name]) => name !== ring)) };
}
