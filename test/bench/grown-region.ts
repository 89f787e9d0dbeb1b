/** A region of any size whose devices all count as applied, of which the lab really has one. */
import { generateSshKey } from "../lab/devices/keys.ts";
import { type LabFleet, REGION } from "../lab/fleet.ts";
import { type BenchDevice, deviceIds, enrolledDevices, succeed, wantedDevices, writeRegion } from "./bench-fleet.ts";
import { exportStack, grow, importStack } from "./grown-state.ts";

/**
 * Applies the lab's first device and grows the state from it. May be repeated with more devices.
 * @param count devices of the region
 * @param unreachable of these the state says that the last run did not reach them, and they are where `dark` is. Default: none
 * @param dark address of a device that answers nothing. Default: none
 */
export async function growRegion(
  fleet: LabFleet,
  count: number,
  unreachable: ReadonlySet<string> = new Set(),
  dark?: string,
): Promise<void> {
  const [real] = enrolledDevices(fleet);
  if (real === undefined) throw new Error("bench: the lab has no device");
  writeRegion(fleet, [real]);
  const { code } = await fleet.pulumi(["stack", "export", "--stack", REGION]);
  if (code !== 0) throw new Error("bench: the region has no stack");
  const known = await exportStack(fleet.pulumi, REGION);
  if (!JSON.stringify(known).includes("command:local:Command"))
    succeed(await fleet.pulumi(["up", "--yes", "--skip-preview", "--stack", REGION]), "first up");
  const others = deviceIds(count)
    .slice(1)
    .map((id, index): BenchDevice => {
      const place =
        unreachable.has(id) && dark !== undefined
          ? { host: dark, port: 10_000 + index }
          : { host: `${id}.edge.example.com`, port: 22 };
      return { id, ...place, hostKey: generateSshKey().publicKey };
    });
  writeRegion(fleet, [real, ...others]);
  const state = grow(await exportStack(fleet.pulumi, REGION), wantedDevices(fleet), unreachable);
  await importStack(fleet.pulumi, REGION, state, fleet.directory);
}
