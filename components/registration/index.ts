/** Registration: what a device and a region are on the hub. */
export { type ClusterSecret, renderClusterSecret } from "./cluster-secret.ts";
export { type ControlPlane, REGION_ACCOUNT, renderControlPlane } from "./control-plane.ts";
