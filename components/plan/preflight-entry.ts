/** The shape in which the preflight's catalogue is written down: a row per kind of finding. */

/** `error`: the device is not touched. `warning`: it works, and somebody should know. */
export type Severity = "error" | "warning";

/** A row: id, severities, when it is found, what happens otherwise, what to do. See `PreflightCheck` in preflight.ts. */
export type CheckEntry = readonly [id: string, severities: readonly Severity[], what: string, why: string, fix: string];

/** Always stops the device. */
export const ERROR: readonly Severity[] = ["error"];

/** Never stops the device. */
export const WARNING: readonly Severity[] = ["warning"];

/** Depends on the device. */
export const EITHER: readonly Severity[] = ["error", "warning"];
