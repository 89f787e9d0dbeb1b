/**
 * Power of a loopback device: a cut that ends every process at once and everything that memory held, and the boot after
 * it, with the units that the device has enabled.
 */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PROGRAM_PATH } from "../../../components/device/program.ts";
import { endProcesses } from "./roots.ts";

/** What a boot starts, as sh: first the run that was cut off is finished, then the cluster. Another boot id is in place. */
export const BOOT_SCRIPT = `set -eu
umount /proc/sys/kernel/random/boot_id 2>/dev/null || :
mount --bind /run/boot-id /proc/sys/kernel/random/boot_id
[ ! -e /var/lib/edge-fleet/journal ] || ${PROGRAM_PATH} recover
for unit in k3s k0scontroller; do
  ! systemctl is-enabled "$unit" >/dev/null 2>&1 || systemctl start "$unit"
done`;

/** Ends every process of a device at once; pods end with what holds their namespaces. What is on its disk stays. */
export function cutPower(root: string, boot: string): void {
  endProcesses(root);
  const run = join(root, "run");
  for (const name of readdirSync(run))
    if (name !== "systemd" && name !== "lock") rmSync(join(run, name), { recursive: true, force: true });
  mkdirSync(join(run, "lock"), { recursive: true });
  writeFileSync(join(run, "boot-id"), `${boot}\n`);
}
