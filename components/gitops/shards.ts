/**
 * How a region's Applications are divided among ApplicationSets: a set's status lists every Application that it owns, and
 * one object may not outgrow etcd's request limit. There are as few sets as fit.
 *
 * A device falls into one of 64 buckets by a hash of its id, written once as a label of its cluster Secret. A set of
 * several selects its share of the buckets, so a device that joins or leaves moves no other one. Only when the number of
 * sets doubles do Applications change hands: the old set is deleted with its Applications orphaned, the new ones adopt
 * them as they are (setControllerReference in applicationset/controllers of Argo CD refuses an owned one until then).
 */
import { createHash } from "node:crypto";

/** Buckets, and so the most sets of a region. A power of two. */
export const BUCKETS = 64;

/** Largest object that etcd takes by default, in bytes (`--max-request-bytes`). */
const OBJECT_LIMIT_BYTES = 1.5 * 1024 * 1024;

/** Share of an object that the list of Applications may take: the rest is for the spec, conditions and managed fields. */
const STATUS_SHARE = 2 / 3;

/** Most bytes that the status entries of one set may take. */
export const STATUS_LIMIT_BYTES = OBJECT_LIMIT_BYTES * STATUS_SHARE;

/** One Application for the division. */
export interface ShardedApplication {
  /** The device's id. */
  readonly device: string;
  /** The Application's name. */
  readonly name: string;
}

/** One set's share. */
export interface Shard {
  /** Ends the set's name: empty for an undivided region, else `.<parts>-<part>`. */
  readonly suffix: string;
  /** Buckets that the set selects, as label values; undefined: all. */
  readonly buckets: readonly string[] | undefined;
}

/** The bucket of a device, as the label's value. The same id gives the same bucket for ever. */
export function bucketOf(deviceId: string): string {
  return String(bucketIndex(deviceId));
}

/**
 * Bytes that one Application takes in the status of its set, at most: the entry as BuildResourceStatus of Argo CD 3.2
 * writes it, with the longest sync and health states.
 */
export function statusEntryBytes(namespace: string, name: string): number {
  const entry = {
    group: "argoproj.io",
    version: "v1alpha1",
    kind: "Application",
    namespace,
    name,
    status: "OutOfSync",
    health: { status: "Progressing" },
  };
  return Buffer.byteLength(JSON.stringify(entry)) + 1;
}

/**
 * Divides Applications among sets.
 * @param namespace namespace of the sets
 * @param limitBytes most bytes of status entries per set. Default {@link STATUS_LIMIT_BYTES}
 * @returns one share per set; their number is a power of two
 * @throws Error when even 64 sets are too few
 */
export function planShards(
  namespace: string,
  applications: readonly ShardedApplication[],
  limitBytes = STATUS_LIMIT_BYTES,
): Shard[] {
  const bytes = new Array<number>(BUCKETS).fill(0);
  for (const { device, name } of applications) {
    const bucket = bucketIndex(device);
    bytes[bucket] = (bytes[bucket] ?? 0) + statusEntryBytes(namespace, name);
  }
  for (let parts = 1; parts <= BUCKETS; parts *= 2) {
    if (bytesByPart(bytes, parts).every((sum) => sum <= limitBytes)) return shardsOf(parts);
  }
  throw new Error(
    `namespace ${namespace} would hold ${applications.length} Applications of one workload, which do not fit into ` +
      `${BUCKETS} ApplicationSets - split the region into several`,
  );
}

function bucketIndex(deviceId: string): number {
  return createHash("sha256").update(deviceId).digest().readUInt32BE() % BUCKETS;
}

function bytesByPart(bytes: readonly number[], parts: number): number[] {
  const sums = new Array<number>(parts).fill(0);
  for (const [bucket, size] of bytes.entries()) sums[bucket % parts] = (sums[bucket % parts] ?? 0) + size;
  return sums;
}

function shardsOf(parts: number): Shard[] {
  if (parts === 1) return [{ suffix: "", buckets: undefined }];
  const buckets = Array.from({ length: BUCKETS }, (_, bucket) => bucket);
  return Array.from({ length: parts }, (_, part) => ({
    suffix: `.${parts}-${part}`,
    buckets: buckets.filter((bucket) => bucket % parts === part).map(String),
  }));
}
