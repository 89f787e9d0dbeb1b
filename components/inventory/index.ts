/** The inventory: loading, layering, explaining. */
export { inventorySchemas } from "./json-schema.ts";
export { loadInventory, regionFiles } from "./load.ts";
export { describePlaced, formatPlaced, type PlacedProblem, placeProblems, type SettingProblem } from "./place.ts";
export { InventoryError } from "./problems.ts";
export {
  DEFAULT_SETTINGS,
  type ExplainedValue,
  explainDevice,
  resolveFleet,
  resolveProfile,
  resolveRegion,
} from "./profile.ts";
export type { ArtifactFile, ArtifactsLock, DeviceEntry, FleetFile, Model, Settings } from "./schema.ts";
export type { DeviceRecord, Inventory, Layer, Position, Profile, Region, ResolvedProxy, WasmRuntime } from "./types.ts";
