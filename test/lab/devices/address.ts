/** The lab's address plan: the loopback address of a device, by its position in the list. */

/** TCP port of every device's SSH server. */
export const DEVICE_PORT = 2222;

/** How many devices the plan has room for. */
export const MAX_DEVICES = 5000;

const PER_BLOCK = 250;

/**
 * The IPv4 address of a device: 127.77.1.1 for the first, 250 in each third octet, .0 and .255 never used. The whole of
 * 127.0.0.0/8 is local on Linux, so no address has to be configured.
 * @param index position in the lab's device list, 0 to 4999
 * @throws RangeError for any other index
 */
export function deviceAddress(index: number): string {
  if (!Number.isInteger(index) || index < 0 || index >= MAX_DEVICES) {
    throw new RangeError(`lab: device index ${index} is not in 0..${MAX_DEVICES - 1} - start fewer devices`);
  }
  return `127.77.${1 + Math.floor(index / PER_BLOCK)}.${1 + (index % PER_BLOCK)}`;
}
