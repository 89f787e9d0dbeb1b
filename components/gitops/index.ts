/** GitOps: the ApplicationSets, the Kustomize tree, its writer and the rings. */
export {
  MAX_AGENT_DEVICES,
  MAX_DEVICES,
  type PredictedApplication,
  predictApplications,
  renderApplicationSet,
} from "./applicationset.ts";
export * from "./labels.ts";
export { MANIFEST_FILE } from "./manifest.ts";
export type { ApplicationSet, AppProject } from "./objects.ts";
export { headRevision, missingAtRevision } from "./revision.ts";
export { describeRings, parseRing, type Revisions, RingError, type Rings, readRings, setRing } from "./rings.ts";
export {
  type Leaf,
  listLeaves,
  renderTree,
  type Tree,
  type TreeDevice,
  type TreeFile,
  type TreeGit,
  type TreeInput,
  treeInput,
} from "./tree.ts";
export { describeChanges, hasChanges, planTree, type TreeChanges, TreeRefusedError, writeTree } from "./writer.ts";
