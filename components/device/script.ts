/**
 * Everything that makes a device what its profile says, as one sh script for a person: the device program and the payload,
 * readable, for a review or for a device that only a person reaches. Pure.
 */

import { type Payload, payloadText } from "../plan/payload.ts";
import { PLACEHOLDER } from "../plan/placeholder.ts";
import { type DeviceProgram, deviceProgram, PROGRAM_PATH } from "./program.ts";

/**
 * Renders the script. It installs the program, applies the payload and prints the answer; run as root it needs nothing
 * else than what an apply needs.
 * @param payload rendered with {@link placeholderSecrets} where it holds secrets: the script then refuses to run until
 *   each placeholder is replaced
 */
export function renderScript(id: string, payload: Payload, program: DeviceProgram = deviceProgram()): string {
  return `#!/bin/sh
# edge-fleet: applies ${payload.hash} to ${id}. Run as root on the device; change the inventory, not this file.
set -eu
umask 077
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
cat >"$d/edge-fleet-device" ${hereDocument(program.text)}
cat >"$d/payload" ${hereDocument(payloadText(payload))}
if grep -q ${PLACEHOLDER} "$d/payload"; then
  echo "this script holds ${PLACEHOLDER}* where a secret belongs - replace each of them, or use edge-fleet up" >&2
  exit 1
fi
sh "$d/edge-fleet-device" install >&2
${PROGRAM_PATH} apply <"$d/payload"
`;
}

function hereDocument(text: string): string {
  const lines = new Set(text.split("\n"));
  let delimiter = "EDGE_FLEET_END";
  while (lines.has(delimiter)) {
    delimiter += "_";
  }
  return `<<'${delimiter}'\n${text}${delimiter}`;
}
