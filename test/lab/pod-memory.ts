/** What the programs of a lab device's pods take in memory, by the processes of the stand-in for the kubelet. */
import type { DeviceLab } from "./devices/types.ts";

/**
 * Looks at the programs of a device's pods.
 * @param program what their command lines have, in the notation of the shell's `case`, e.g. `*argocd-*`
 * @returns a line for each, in MiB
 */
export async function podMemory(devices: DeviceLab, id: string, program: string): Promise<string[]> {
  const { stdout } = await devices.exec(
    id,
    `for pid in $(cat /run/k3s/standin/pods/*/containers/*/pid); do
      for child in $(pgrep -P "$(pgrep -P "$pid")"); do
        case $(tr '\\0' ' ' <"/proc/$child/cmdline") in ${program})
          echo "$(tr '\\0' ' ' <"/proc/$child/cmdline" | cut -d ' ' -f 1) $(awk '/^Rss:/ { r = $2 } /^Anonymous:/ { a = $2 } END { print r, a }' "/proc/$child/smaps_rollup")" ;;
        esac
      done
    done`,
  );
  return stdout
    .trim()
    .split("\n")
    .map((line) => {
      const [name, rss, anonymous] = line.split(" ");
      return `${name}: ${Math.round(Number(rss) / 1024)} MiB resident, ${Math.round(Number(anonymous) / 1024)} anonymous`;
    });
}
