/** The text of the commits that a rollout makes, with trailers for programs. */

/** What a commit of a ring's file says. */
export interface RolloutMessage {
  readonly verb: "Promote" | "Roll back" | "Add leaves to";
  readonly ring: string;
  /** Undefined: the overlays. */
  readonly workload: string | undefined;
  /** Full SHA that the ring runs from now on. */
  readonly revision: string;
  /** Full SHA that it ran before. */
  readonly previous: string | undefined;
  /** How many devices the ring has. */
  readonly devices: number;
  /** Why the rules were overridden, or why it was rolled back. */
  readonly reason: string | undefined;
}

/** `Promote early to 1a2b3c4d5e6f` and the trailers Ring, Workload, Revision, Previous, Devices, Reason. */
export function rolloutMessage(message: RolloutMessage): string {
  const { verb, ring, workload, revision, previous, devices, reason } = message;
  const what = workload === undefined ? ring : `${workload} in ${ring}`;
  const trailers = [
    ["Ring", ring],
    ["Workload", workload],
    ["Revision", revision],
    ["Previous", previous ?? "none"],
    ["Devices", String(devices)],
    ["Reason", reason === undefined ? undefined : oneLine(reason)],
  ] as const;
  const lines = trailers.flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]));
  const preposition = verb === "Add leaves to" ? "at" : "to";
  return `${verb} ${what} ${preposition} ${revision.slice(0, 12)}\n\n${lines.join("\n")}\n`;
}

/** `Freeze early` or `Lift the freeze of the whole fleet`. @param ring undefined: the whole fleet */
export function freezeMessage(ring: string | undefined, off: boolean, reason: string | undefined): string {
  const subject = off
    ? `Lift ${ring === undefined ? "every freeze" : `the freeze of ${ring}`}`
    : `Freeze ${ring ?? "the whole fleet"}`;
  return `${subject}\n\nRing: ${ring ?? "all"}\n${reason === undefined ? "" : `Reason: ${oneLine(reason)}\n`}`;
}

/** A trailer ends with its line; a second line of it would be read as another trailer. */
function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").trim();
}
