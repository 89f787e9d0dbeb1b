/**
 * The devices that a new fleet lists: numbered ones, spread over the regions and the rings. Pure.
 */
import type { Answers } from "./answers.ts";

/** One row of a region's CSV file, by column. */
export type DeviceRow = Readonly<Record<string, string | number>>;

/** Every hundredth device is a canary and every tenth is early; but each fleet has one of each as soon as it can. */
const CANARY_EVERY = 100;
const EARLY_EVERY = 10;

/**
 * Numbered devices by region. The first regions take what does not divide evenly.
 * @returns every region, in order; without devices the rows are empty
 */
export function numberedDevices(
  answers: Pick<Answers, "regions" | "devices" | "hostPattern" | "model">,
): Map<string, DeviceRow[]> {
  const { regions, devices, hostPattern, model } = answers;
  const share = Math.floor(devices / regions.length);
  const rest = devices % regions.length;
  const digits = Math.max(4, String(share + 1).length);
  return new Map(
    regions.map((region, index) => {
      const count = share + (index < rest ? 1 : 0);
      const rows = Array.from({ length: count }, (_, position) => {
        const number = position + 1;
        const id = `${region}-${String(number).padStart(digits, "0")}`;
        return { id, host: fillPattern(hostPattern, region, number), model, ring: ringOf(position) };
      });
      return [region, rows];
    }),
  );
}

/** `{region}` and `{n}` or `{n:04}` filled in. */
export function fillPattern(pattern: string, region: string, number: number): string {
  return pattern
    .replaceAll("{region}", region)
    .replace(/\{n(?::0(\d))?\}/g, (_, width?: string) => String(number).padStart(Number(width ?? 0), "0"));
}

/** An empty ring is the fleet's default, `broad`. */
function ringOf(position: number): string {
  if (position % CANARY_EVERY === 0) return "canary";
  return position % EARLY_EVERY === 1 ? "early" : "";
}
