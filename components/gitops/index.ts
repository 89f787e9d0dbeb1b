/** GitOps: the ApplicationSets, the Kustomize tree, its writer and the rings. */

export { sourceFolder } from "./application.ts";
export { describeRegionSizes, MAX_AGENT_DEVICES, renderApplicationSets } from "./applicationset.ts";
export { buildManifests, withManifests } from "./build.ts";
export { type CheckInput, checkInput, checkTree } from "./check.ts";
export { hasKustomize } from "./kustomize-build.ts";
export * from "./labels.ts";
export { MANIFEST_FILE } from "./manifest.ts";
export type { Application, ApplicationSet, AppProject } from "./objects.ts";
export { formatTreeProblem, type TreeProblem } from "./policy.ts";
export { type Pull, renderPull } from "./pull.ts";
export { parseRing, type Revisions, RingError, readRings, renderRing, ringPath } from "./rings.ts";
export * from "./rollout.ts";
export * from "./rollout-freeze.ts";
export * from "./rollout-gate.ts";
export * from "./rollout-health.ts";
export * from "./rollout-history.ts";
export * from "./rollout-message.ts";
export * from "./rollout-status.ts";
export {
  type Build,
  type Leaf,
  listBuilds,
  listLeaves,
  renderTree,
  type Tree,
  type TreeFile,
  treeInput,
} from "./tree.ts";
export type { TreeDevice, TreeGit, TreeInput, TreeWorkload } from "./tree-input.ts";
export { describeChanges, hasChanges, planTree, type TreeChanges, TreeRefusedError, writeTree } from "./writer.ts";
export { formatObjects } from "./yaml.ts";
