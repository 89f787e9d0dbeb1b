/**
 * What a preview says: from the JSON of `pulumi preview --json` (`PreviewDigest` in pkg/display/json.go, v3.274.1) to
 * counts, devices and errors. It comes from a process, so it is checked like any foreign input. Pure.
 */
import { z } from "zod";
import { printable } from "../terminal.ts";

/** What would become of a device. */
export interface PreviewedDevice {
  readonly id: string;
  /** As Pulumi calls it, e.g. `create`, `update`, `delete`. */
  readonly change: string;
}

/** What a preview found. */
export interface Preview {
  /** Number of resources by what would become of them, `same` among them. */
  readonly changes: Readonly<Record<string, number>>;
  /** Devices that would be dialled or would leave the stack. */
  readonly devices: readonly PreviewedDevice[];
  /** Errors, as Pulumi words them. */
  readonly errors: readonly string[];
}

const DigestSchema = z.object({
  steps: z.array(z.object({ op: z.string(), urn: z.string() })).nullish(),
  diagnostics: z.array(z.object({ message: z.string().optional(), severity: z.string().optional() })).nullish(),
  changeSummary: z.record(z.string(), z.number()).nullish(),
});

/** The dial of a device: the last part of the URN is its id. */
const DEVICE = /\$command:local:Command::(.+)$/;

/** Characters of an error that are told. */
const LONGEST = 2000;

/** Reads it. @returns undefined for anything else, e.g. nothing at all where pulumi ended before it began */
export function readPreview(text: string): Preview | undefined {
  try {
    const { data } = DigestSchema.safeParse(JSON.parse(text));
    if (data === undefined) return undefined;
    // A replacement has a step for each of its parts: the last one is it as a whole.
    const changes = new Map<string, string>();
    for (const { op, urn } of data.steps ?? []) {
      const id = DEVICE.exec(urn)?.[1];
      if (id !== undefined && op !== "same") changes.set(printable(id), printable(op));
    }
    const devices = [...changes].map(([id, change]) => ({ id, change }));
    const errors = (data.diagnostics ?? []).filter(({ severity }) => severity === "error");
    return {
      changes: data.changeSummary ?? {},
      devices,
      errors: errors.map(({ message = "" }) => printable(message, LONGEST)),
    };
  } catch {
    return undefined;
  }
}
