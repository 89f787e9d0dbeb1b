/** GitOps: the ApplicationSets, the Kustomize tree and its writer. */

export { sourceFolder } from "./application.ts";
export {
  describeRegionSizes,
  MAX_AGENT_DEVICES,
  renderApplicationSets,
  ringPath,
} from "./applicationset.ts";
export { renderDeviceEntry } from "./device-entry.ts";
export { planFleet } from "./fleet-plan.ts";
export * from "./labels.ts";
export { MANIFEST_FILE } from "./manifest.ts";
export type { Application, ApplicationSet, AppProject } from "./objects.ts";
export { takesWorkload } from "./select.ts";
export {
  type Leaf,
  listBuilds,
  listLeaves,
  listWorkloadLeaves,
  renderTree,
  type Tree,
  type TreeFile,
  treeInput,
} from "./tree.ts";
export { treeDevice } from "./tree-facts.ts";
export type { EntryFleet, Pins, TreeDevice, TreeGit, TreeInput, TreeWorkload } from "./tree-input.ts";
export { describeChanges, hasChanges, planTree, type TreeChanges, TreeRefusedError, writeTree } from "./writer.ts";
export { formatObjects } from "./yaml.ts";
