/**
 * From the memory of a model to what the kubelet keeps back from pods. K3s sets no memory eviction by itself, so without
 * these a leaking pod takes the device's SSH server and K3s down with it.
 */

/** Memory that pods may not use, in MiB. */
export interface Reservations {
  /** The operating system: kernel, SSH server, journal. */
  readonly systemMiB: number;
  /** K3s with containerd: 400 + 105 MiB measured on a trimmed v1.36.5 server, and room for its growth. */
  readonly kubernetesMiB: number;
  /** Free memory below which the kubelet evicts pods. */
  readonly evictionMiB: number;
}

/** Smallest memory on which a K3s server leaves room for pods, in MiB. Upstream's documented minimum is 2 GiB. */
export const MINIMUM_MEMORY_MIB = 1024;

const TABLE: readonly (readonly [belowMiB: number, reservations: Reservations])[] = [
  [1536, { systemMiB: 100, kubernetesMiB: 400, evictionMiB: 80 }],
  [3072, { systemMiB: 200, kubernetesMiB: 600, evictionMiB: 120 }],
  [6144, { systemMiB: 200, kubernetesMiB: 600, evictionMiB: 200 }],
  [Number.POSITIVE_INFINITY, { systemMiB: 300, kubernetesMiB: 800, evictionMiB: 300 }],
];

/**
 * What the kubelet keeps back on a device with this memory.
 * @param memoryMiB RAM in MiB
 * @throws RangeError below {@link MINIMUM_MEMORY_MIB}
 */
export function kubeletReservations(memoryMiB: number): Reservations {
  const row = TABLE.find(([belowMiB]) => memoryMiB < belowMiB);
  if (row === undefined || memoryMiB < MINIMUM_MEMORY_MIB) {
    throw new RangeError(`${memoryMiB} MiB of memory is not enough for a K3s server - use a model with at least 1Gi`);
  }
  return row[1];
}
