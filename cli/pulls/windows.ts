/** Whether a moment lies inside a device's maintenance windows, as the ApplicationSet controller will see it. */
import type { WindowGroup } from "../../components/gitops/windows.ts";

/**
 * Whether a group's devices may change at a moment. Hours are wall-clock hours: one that the change to summer time leaves
 * out does not come, one that it repeats comes twice.
 */
export function isOpen({ zone, spans }: WindowGroup, at: Date): boolean {
  if (spans.length === 0) return true;
  const clock = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  });
  const parts = clock.formatToParts(at);
  const part = (type: string) => parts.find((candidate) => candidate.type === type)?.value ?? "";
  const time = `${part("hour")}:${part("minute")}`;
  return spans.some(({ days, from, to }) => days.some((day) => day === part("weekday")) && from <= time && time < to);
}
