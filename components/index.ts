/** The public door of the package: the program of a fleet, and the components that it is made of. */
export { Device, type DeviceArgs } from "./device/index.ts";
export type { DeviceOutcome } from "./device/result.ts";
export { FleetTree, type FleetTreeArgs } from "./gitops/fleet-tree.ts";
export type { HubArgs, HubCluster, HubRegion, RegionAccess } from "./hub/args.ts";
export { type ClusterAccess, readClusterUid } from "./hub/cluster.ts";
export { Hub } from "./hub/index.ts";
export { type Cluster, readCluster } from "./hub/kubeconfig.ts";
export { type ArgoCdManifests, loadArgoCd } from "./hub/manifests.ts";
export { type Inventory, InventoryError, loadInventory } from "./inventory/index.ts";
export { Region, type RegionArgs } from "./region/index.ts";
export type { DeviceReason, RegionOutputs } from "./region/outputs.ts";
export { RegionRegistration, type RegionRegistrationArgs } from "./registration/region-registration.ts";
export { runStack } from "./stack.ts";
