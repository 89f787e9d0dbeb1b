/** JSON documents about commits: what rings run, and what a change of them does. */
import { z } from "zod";
import { count, counts, leaves, text, texts, time } from "./parts.ts";

const ring = text("Name of the ring");
const workload = text("Name of the workload that has commits of its own; null: the overlays").nullable();
const revision = text("Full SHA");
const FreezeSchema = z.strictObject({ reason: text("Why").optional(), since: time("Since when") });

const VerdictSchema = z.strictObject({
  healthy: z.boolean().describe("The next ring may take its commit"),
  counts: counts(["healthy", "failed", "behind", "lost", "unknown"]),
  total: count("Devices that the share is of: all of the ring"),
  reasons: texts("Why it is not healthy"),
  unwell: z
    .array(
      z.strictObject({
        id: text("Its id"),
        verdict: z.enum(["failed", "lost", "behind", "unknown"]).describe("What it counts as"),
        problems: texts("What is not well on it, or why it did not answer, as far as that is told"),
      }),
    )
    .describe("Devices that are not healthy, the failed ones first"),
  runningSince: count(
    "Since when the share that is asked for runs the commit well, in milliseconds since 1970; null: fewer do",
  ).nullable(),
});

const RingsSchema = z.strictObject({
  workload,
  rings: z
    .array(
      z.strictObject({
        ring,
        revision: revision.nullable().describe("Full SHA that it runs; null: nothing"),
        since: time("Since when").nullable(),
        soakLeftMs: count("Until its devices have run it for long enough, in milliseconds").nullable(),
        devices: count("Devices that its file steers"),
        frozen: FreezeSchema.nullable().describe("Why it may not be promoted; null: it may"),
        health: VerdictSchema.nullable().describe("Null: nobody was asked"),
      }),
    )
    .describe("In the order of the rollout"),
});

const DiffSchema = z.strictObject({
  base: revision.describe("Full SHA before"),
  head: revision.describe("Full SHA after"),
  unchanged: count("Leaves that render to the same"),
  groups: z
    .array(
      z.strictObject({
        paths: texts("Folders of the tree that share the difference"),
        devices: count("Devices that deploy them"),
        kind: z.enum(["changed", "added", "removed", "failed"]).describe("`failed`: it does not build"),
        changes: z
          .array(
            z.strictObject({
              object: text("Kind, namespace and name"),
              change: z.enum(["added", "removed", "changed"]).describe("What becomes of it"),
              lines: texts("Lines with ` `, `-` or `+` in front"),
            }),
          )
          .optional()
          .describe("Absent where it does not build"),
        at: z.enum(["base", "head"]).optional().describe("Where it does not build"),
        message: text("Why it does not build").optional(),
      }),
    )
    .describe("Those that most devices get first"),
});

const settled = {
  file: text("The file that says it"),
  written: z.boolean().describe("It was changed on the disk or in the remote branch"),
  commit: revision.nullable().describe("The commit that was made; null: none was"),
  pushed: z.boolean().describe("The commit is in the remote branch"),
};

const change = {
  ring,
  workload,
  revision: revision.describe("Full SHA that it gets"),
  previous: revision.nullable().describe("Full SHA that it ran; null: nothing"),
  ...settled,
  devices: count("Devices that get it"),
  blast: leaves("These devices by region and model"),
  diff: DiffSchema.nullable().describe("Null: there is none, or it was not asked for"),
};

const PromoteSchema = z.union([
  z.strictObject({
    ...change,
    published: z.boolean().nullable().describe("The commit is in the remote branch; null: there is no remote"),
    signer: text("Who signed the commit; null: nobody was asked for").nullable(),
    commits: z
      .array(
        z.strictObject({
          commit: revision,
          author: text("Its author"),
          date: time("Its date"),
          subject: text("First line of its message"),
        }),
      )
      .describe("What comes with it, newest first"),
    backwards: z.boolean().describe("The commit does not contain what the ring runs"),
    before: z
      .strictObject({ ring, verdict: VerdictSchema.nullable() })
      .nullable()
      .describe("The ring before; null: it is the first"),
    refusals: z
      .array(
        z.strictObject({
          reason: z
            .enum(["frozen", "order", "unpublished", "soak", "no-status", "health"])
            .describe("What stands against it"),
          message: text("`<what> - <fix>`"),
          forceable: z.boolean().describe("`--force` overrides it"),
        }),
      )
      .describe("Empty where it may happen"),
    noDiff: text("Why there is no rendered difference").nullable(),
  }),
  z.strictObject({
    ring,
    revision,
    previous: revision,
    file: text("The file that says it"),
    written: z.literal(false).describe("It ran that commit already"),
  }),
]);

const RollbackSchema = z.strictObject({
  ...change,
  missing: texts("Folders that the commit lacks: their devices stay on what they run"),
  later: texts("Rings that still run what was rolled back"),
});

const FreezeDocumentSchema = z.strictObject({
  ring: ring.nullable().describe("Null: the whole fleet"),
  frozen: z.boolean().describe("Whether it is now"),
  ...settled,
});

/** A problem of a file of the tree. */
export const TreeProblemSchema = z.strictObject({
  rule: text("Short and stable, e.g. `image`"),
  file: text("Path"),
  line: z.int().min(1).describe("From 1"),
  column: z.int().min(1).describe("From 1"),
  where: text("Field or object"),
  message: text("`<what> - <fix>`"),
});

const RenderSchema = z.strictObject({
  tree: text("The tree's folder"),
  stale: z.boolean().describe("There is something to write"),
  create: texts("Files that are new"),
  update: texts("Files that change"),
  delete: texts("Files that go"),
  refused: z.array(z.looseObject({ path: text("File"), reason: text("Why") })).describe("Files that are not written"),
  problems: z.array(TreeProblemSchema).describe("What must not reach a device"),
});

/** By command. */
export const ROLLOUT_DOCUMENTS = {
  rings: RingsSchema,
  diff: DiffSchema,
  promote: PromoteSchema,
  rollback: RollbackSchema,
  freeze: FreezeDocumentSchema,
  render: RenderSchema,
} as const;
