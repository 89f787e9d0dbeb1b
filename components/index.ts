/** The public door of the package: the program of a fleet, and the components that it is made of. */
export { Device, type DeviceArgs, type DeviceOutcome } from "./device/index.ts";
export type { HubArgs, RegionAccess } from "./hub/args.ts";
export { Hub } from "./hub/index.ts";
export { Region, type RegionArgs } from "./region/index.ts";
export { runStack } from "./stack.ts";
