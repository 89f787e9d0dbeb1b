/**
 * What the kubelet keeps back from pods of a model's memory. K3s sets no memory eviction by itself, so without these a
 * leaking pod takes the device's SSH server and K3s down with it.
 */

/** What a machine is in its cluster. An agent runs no API server, no controllers and no datastore. */
export type NodeRole = "server" | "agent";

/** Memory that pods may not use, in MiB. */
export interface Reservations {
  /** The operating system: kernel, SSH server, journal. */
  readonly systemMiB: number;
  /**
   * K3s with containerd. Measured as proportional shares on a trimmed v1.36.5 server: 400 + 105 MiB; a fresh v1.36.2 server has
   * 522 MB resident. Both count the mapped pages of its binary, which the kernel may drop and must read again from the flash,
   * so they are reserved like its own.
   */
  readonly kubernetesMiB: number;
  /** Free memory below which the kubelet evicts pods. */
  readonly evictionMiB: number;
}

/** Smallest memory on which a K3s server leaves room for pods, in MiB. Upstream's documented minimum is 2 GiB. */
export const MINIMUM_MEMORY_MIB = 1024;

/** Smallest memory of a K3s agent, in MiB: upstream's documented minimum. https://docs.k3s.io/installation/requirements */
export const MINIMUM_AGENT_MEMORY_MIB = 512;

/** Memory of a server that upstream documents as the least, in MiB; below it the device works only trimmed. */
export const RECOMMENDED_MEMORY_MIB = 2048;

type Row = readonly [belowMiB: number, reservations: Reservations];

const TABLES: Readonly<Record<NodeRole, readonly Row[]>> = {
  server: [
    [1536, { systemMiB: 100, kubernetesMiB: 520, evictionMiB: 80 }],
    [3072, { systemMiB: 200, kubernetesMiB: 600, evictionMiB: 120 }],
    [6144, { systemMiB: 200, kubernetesMiB: 600, evictionMiB: 200 }],
    [Number.POSITIVE_INFINITY, { systemMiB: 300, kubernetesMiB: 800, evictionMiB: 300 }],
  ],
  agent: [
    [1024, { systemMiB: 80, kubernetesMiB: 160, evictionMiB: 60 }],
    [3072, { systemMiB: 100, kubernetesMiB: 300, evictionMiB: 100 }],
    [6144, { systemMiB: 200, kubernetesMiB: 300, evictionMiB: 200 }],
    [Number.POSITIVE_INFINITY, { systemMiB: 300, kubernetesMiB: 400, evictionMiB: 300 }],
  ],
};

const MINIMUM: Readonly<Record<NodeRole, number>> = { server: MINIMUM_MEMORY_MIB, agent: MINIMUM_AGENT_MEMORY_MIB };

/**
 * What the kubelet keeps back on a device with this memory.
 * @param memoryMiB RAM in MiB
 * @param role default `server`
 * @throws RangeError below the minimum of the role
 */
export function kubeletReservations(memoryMiB: number, role: NodeRole = "server"): Reservations {
  const row = TABLES[role].find(([belowMiB]) => memoryMiB < belowMiB);
  if (row === undefined || memoryMiB < MINIMUM[role]) {
    const least = role === "server" ? "1Gi" : "512Mi";
    throw new RangeError(
      `${memoryMiB} MiB of memory is not enough for a K3s ${role} - use a model with at least ${least}`,
    );
  }
  return row[1];
}

/**
 * Memory that is left for pods, in MiB.
 * @throws RangeError as {@link kubeletReservations}
 */
export function podMemoryMiB(memoryMiB: number, role: NodeRole = "server"): number {
  const { systemMiB, kubernetesMiB, evictionMiB } = kubeletReservations(memoryMiB, role);
  return memoryMiB - systemMiB - kubernetesMiB - evictionMiB;
}
