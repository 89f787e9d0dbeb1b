/** GitOps: the ApplicationSets, the Kustomize tree and its writer. */

export { sourceFolder } from "./application.ts";
export {
  describeRegionSizes,
  MAX_AGENT_DEVICES,
  renderApplicationSets,
  ringPath,
  takesWorkload,
} from "./applicationset.ts";
export * from "./labels.ts";
export { MANIFEST_FILE } from "./manifest.ts";
export type { Application, ApplicationSet, AppProject } from "./objects.ts";
export { type Leaf, listBuilds, listLeaves, renderTree, type Tree, type TreeFile, treeInput } from "./tree.ts";
export type { TreeDevice, TreeGit, TreeInput, TreeWorkload } from "./tree-input.ts";
export { describeChanges, hasChanges, planTree, type TreeChanges, TreeRefusedError, writeTree } from "./writer.ts";
export { formatObjects } from "./yaml.ts";
