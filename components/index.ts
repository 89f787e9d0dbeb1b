/** The public door of the package: the program of a fleet, and the components that it is made of. */
export { Device, type DeviceArgs } from "./device/index.ts";
export type { DeviceOutcome } from "./device/result.ts";
export { FleetTree, type FleetTreeArgs } from "./gitops/fleet-tree.ts";
export type { HubArgs, RegionAccess } from "./hub/args.ts";
export { Hub } from "./hub/index.ts";
export { type Inventory, InventoryError, loadInventory } from "./inventory/index.ts";
export { Region, type RegionArgs } from "./region/index.ts";
export type { DeviceReason, RegionOutputs } from "./region/outputs.ts";
export { runStack } from "./stack.ts";
