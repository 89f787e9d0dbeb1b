/** JSON documents about the fleet as a whole: what is set up, what is wrong, what it is. */
import { z } from "zod";
import { count, text, texts } from "./parts.ts";
import { TreeProblemSchema } from "./rollout.ts";

const InitSchema = z.strictObject({
  root: text("Folder of the repository"),
  dryRun: z.boolean().describe("Nothing was written"),
  files: z
    .array(
      z.strictObject({
        path: text("Below the root"),
        state: z.enum(["create", "unchanged", "conflict"]).describe("`conflict`: something else stands there"),
      }),
    )
    .describe("Files of the repository"),
  tree: texts("Files of the tree that are new"),
  conflicts: texts("Files that are in the way"),
});

const account = z.array(
  z.strictObject({
    field: text("Its name in the source"),
    at: texts("`file:line:column`"),
    fix: text("What to do instead"),
  }),
);

const ImportSchema = z.strictObject({
  source: text("The file"),
  dryRun: z.boolean().describe("Nothing was written"),
  files: texts("Files that were written, or would be"),
  devices: z
    .array(z.looseObject({ region: text("Its region"), id: text("Its id") }))
    .describe("Machines that became devices, with their fields"),
  notTakenOver: account.describe("What has no place in the inventory"),
  refusedSecrets: account.describe("Secrets, which are never copied"),
  notes: texts("What else is to be known"),
  next: texts("Commands to run next"),
});

const mirror = z
  .array(
    z.strictObject({
      path: text("Below the mirror's folder"),
      state: z.enum(["present", "fetched", "missing", "failed"]).describe("What became of it"),
      message: text("Why it failed or is missing"),
    }),
  )
  .describe("With `--mirror`: its files");

const LockSchema = z.union([
  z.strictObject({
    file: text("The lock file"),
    written: z.boolean().describe("It was changed"),
    artifacts: z
      .array(
        z.strictObject({
          field: text("Its place in the lock file"),
          state: z.enum(["added", "kept", "moved", "changed", "refused"]).describe("What became of its entry"),
          url: text("Where it comes from").optional(),
          sha256: text("Its hash, lower-case hex"),
          size: count("Bytes").nullable(),
        }),
      )
      .describe("Every artifact that the fleet uses"),
    mirror,
    notes: texts("What else is to be known"),
    warnings: texts("`<what> - <fix>`"),
    problems: texts("Why nothing was written"),
  }),
  z.strictObject({
    file: text("With `--check`: the lock file"),
    missing: z
      .array(z.strictObject({ field: text("Its place in the lock file"), usedBy: z.unknown().describe("Who uses it") }))
      .describe("With `--check`: artifacts that are not locked"),
    mirror,
    problems: texts("`<what> - <fix>`"),
  }),
  z.strictObject({
    folder: text("With `--images`: the folder"),
    images: z
      .array(
        z.strictObject({
          reference: text("As the file has it"),
          files: texts("Files that name it"),
          digest: text("What it is now").optional(),
          problem: text("Why its registry did not tell").optional(),
        }),
      )
      .describe("With `--images`: images without a digest"),
  }),
]);

const CheckSchema = z.strictObject({
  tree: text("The tree's folder"),
  inventory: texts("Problems of the inventory, `file:line:column field: what - fix`: nothing else was checked then"),
  rendered: z.boolean().describe("kustomize was there: memory, runtime classes and patched images were checked"),
  problems: z.array(TreeProblemSchema).describe("What must not reach a device"),
  plan: z
    .strictObject({
      errors: texts("Settings with which a device cannot work"),
      warnings: texts("Settings that deserve a look"),
    })
    .describe("What planning every device found"),
});

const StacksSchema = z.strictObject({
  stacks: texts("The hub first"),
  regions: texts("Those of them that are regions"),
});

const ExplainSchema = z.strictObject({
  device: text("Id of the device"),
  region: text("Its region"),
  model: text("Its model"),
  settings: z
    .array(
      z.strictObject({
        path: text("Field, e.g. `k3s.version`"),
        value: z.unknown().describe("Its value"),
        layer: text("Where it comes from: default, fleet, model, region or device"),
      }),
    )
    .describe("By path"),
  errors: texts("Settings with which it cannot work"),
  warnings: texts("Settings that deserve a look"),
});

const counted = (meaning: string) =>
  z.array(z.strictObject({ name: text("Its name"), devices: count("Devices that have it") })).describe(meaning);

const connections = (meaning: string) =>
  z
    .array(
      z.strictObject({
        peer: text("Who"),
        port: text("e.g. `443/tcp`"),
        purpose: text("What for"),
        devices: count("Devices that need it"),
      }),
    )
    .describe(meaning);

const OverviewSchema = z.strictObject({
  fleet: text("Its name"),
  git: z
    .strictObject({ url: text("Without credentials"), branch: text("Branch"), path: text("Folder of the tree") })
    .describe("Where workloads come from"),
  hub: z
    .strictObject({ stack: text("Its stack"), argocd: text("Release of Argo CD") })
    .optional()
    .describe("Absent: the fleet has none"),
  devices: count("Devices"),
  enrolled: count("Devices with a pinned host key"),
  clusters: count("Devices that join no other one"),
  regions: z
    .array(
      z.strictObject({
        name: text("Its name"),
        namespace: text("Of its control plane on the hub"),
        devices: count("Devices"),
        enrolled: count("Devices with a pinned host key"),
        clusters: count("Devices that join no other one"),
        models: counted("By model"),
        rings: counted("By ring"),
        engines: counted("By pull engine"),
        distributions: counted("By distribution"),
        jumpHosts: texts("Between the workstation and the devices"),
      }),
    )
    .describe("In the order of the inventory"),
  models: z
    .array(
      z.strictObject({
        name: text("Its name"),
        architecture: text("CPU architecture"),
        memoryMiB: count("RAM in MiB"),
        devices: count("Devices"),
      }),
    )
    .describe("Hardware classes"),
  rings: z
    .array(
      z.strictObject({
        name: text("Its name"),
        revision: text("Full SHA that it runs; null: nothing").nullable(),
        devices: count("Devices"),
        share: z.number().describe("Percent of the fleet"),
        cumulativeShare: z.number().describe("Percent of the fleet, with the rings before it"),
        regions: counted("By region"),
        models: counted("By model"),
      }),
    )
    .describe("In the order of the rollout"),
  engines: counted("By pull engine"),
  distributions: counted("By distribution and release"),
  wasm: counted("By WASM runtime"),
  delivery: counted("By the way that artifacts come"),
  security: counted("By hardening"),
  workloads: texts("Those that have commits of their own"),
  inbound: connections("Ports that must be open on a device"),
  site: connections("Ports between the machines of one cluster"),
  outbound: connections("Where devices connect to"),
  offline: z
    .array(z.strictObject({ what: text("What happens"), devices: count("To how many") }))
    .describe("What happens when the link drops"),
  blastRadius: counted("Most devices that one mistake of each kind can reach"),
});

/** By command. */
export const FLEET_DOCUMENTS = {
  init: InitSchema,
  import: ImportSchema,
  lock: LockSchema,
  check: CheckSchema,
  stacks: StacksSchema,
  explain: ExplainSchema,
  overview: OverviewSchema,
} as const;
