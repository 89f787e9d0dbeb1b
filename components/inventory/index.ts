/** The inventory: loading, layering, explaining. */

export { inventoryWarnings } from "./checks.ts";
export { DISTRIBUTION_NAMES, RELEASE_FIELDS } from "./distribution-schema.ts";
export { gitAccessOf } from "./git-access.ts";
export { inventorySchemas } from "./json-schema.ts";
export { loadInventory, regionFiles, regionLockFile } from "./load.ts";
export { describePlaced, formatPlaced, type PlacedProblem, placeProblems, type SettingProblem } from "./place.ts";
export { InventoryError } from "./problems.ts";
export {
  type DeviceDescription,
  type ExplainedValue,
  explainDevice,
  profileOf,
  resolveFleet,
  resolveProfile,
  resolveRegion,
} from "./profile.ts";
export type { ArtifactFile, ArtifactsLock, DeviceEntry, FleetFile, Model, Settings } from "./schema.ts";
export { hubOf } from "./schema.ts";
export { DEFAULT_SETTINGS } from "./settings-schema.ts";
export type {
  DeviceRecord,
  Inventory,
  Layer,
  Position,
  Profile,
  Region,
  RegionLock,
  ResolvedProxy,
  WasmRuntime,
} from "./types.ts";
