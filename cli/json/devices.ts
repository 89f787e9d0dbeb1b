/** JSON documents about devices: what is known of them, and what became of a run over them. */
import { z } from "zod";
import { count, counts, text, texts, time, why } from "./parts.ts";

const HEALTH = ["healthy", "failed", "behind", "lost", "unknown"] as const;
const id = text("Id of the device");
const offered = text("Fingerprint of the host key that was offered instead of the pinned one").optional();
const end = z
  .enum(["succeeded", "failed", "cancelled"])
  .describe("How pulumi ended; `cancelled`: a person ended it, and no further stack ran");

const StatusSchema = z
  .record(
    z.string(),
    z.strictObject({
      region: text("Name of its region"),
      model: text("Name of its model; empty for a device that is not in the inventory"),
      ring: text("Its ring; empty for a device that is not in the inventory"),
      state: z
        .enum(["applied", "pending", "failed", "removed", "new", "unknown"])
        .describe("As its last run left it; `new`: no run knows it; `unknown`: its stack cannot be read"),
      ...why,
      release: text("Release of the distribution, as it says or its last run left it; empty where it is not known"),
      lastRun: time("When a run last changed its region's stack").nullable(),
      health: z.enum(HEALTH).nullable().describe("Against the commit of its ring; null: nobody was asked"),
      connected: z
        .boolean()
        .optional()
        .describe("It answered, or has a connection to the hub; absent: nothing is known"),
      healthy: z.boolean().optional().describe("It runs `revision` in full, and all of it is well"),
      revision: text("Full SHA of the commit that it runs").optional(),
      since: time("Since when it runs that and is as well as it is").optional(),
      observedAt: time("When this was so").optional(),
      lastSeenAt: time("When the device itself was last heard of").optional(),
      problems: texts("What is not well on it, or why it did not answer").optional(),
      agent: z
        .strictObject({
          wanted: text("Release that the inventory wants"),
          applied: text("Release that its last run left it with; null: not known").nullable(),
        })
        .optional()
        .describe("Its argocd-agent; absent where its region is not moved to another release"),
    }),
  )
  .describe("By device id");

const DeviceRowSchema = z.strictObject({
  id,
  state: z.enum(["applied", "removed", "pending", "failed"]).describe("What the run left it in"),
  ...why,
  release: text("Release that an applied device runs; empty for the others"),
});

const UpSchema = z.strictObject({
  stacks: z
    .array(
      z.strictObject({
        stack: text("Its name, as it was written"),
        pulumi: end,
        counts: counts(["applied", "removed", "pending", "failed"]).optional(),
        devices: z.array(DeviceRowSchema).optional().describe("By id; absent for the hub"),
      }),
    )
    .describe("In the order in which they ran"),
});

const PreviewSchema = z.strictObject({
  stacks: z
    .array(
      z.strictObject({
        stack: text("Its name, as it was written"),
        pulumi: end,
        changes: z
          .record(z.string(), z.int())
          .optional()
          .describe("Resources by Pulumi's word for what would become of them; absent where pulumi told nothing"),
        devices: z
          .array(z.strictObject({ id, change: text("Pulumi's word, e.g. `create`, `update`") }))
          .optional()
          .describe("Devices that would be dialled or would leave the stack"),
        errors: texts("Errors, as Pulumi words them").optional(),
      }),
    )
    .describe("In the order in which they were previewed"),
});

const ExecSchema = z.strictObject({
  counts: counts(["done", "pending", "failed"]),
  devices: z
    .array(
      z.strictObject({
        id,
        state: z.enum(["done", "pending", "failed"]).describe("`done`: the command ended with 0"),
        ...why,
        exitCode: z.int().nullable().describe("Of the command; null where it did not end"),
        stdout: text("What it wrote, at most 64 KiB"),
        stderr: text("As `stdout`"),
      }),
    )
    .describe("In the order of the inventory"),
});

const DoctorSchema = z.strictObject({
  counts: counts(["well", "warnings", "errors", "pending", "failed"]),
  devices: z
    .array(
      z.strictObject({
        id,
        state: z.enum(["well", "warnings", "errors", "pending", "failed"]).describe("By its worst finding"),
        findings: z
          .array(
            z.strictObject({
              id: text("See docs/preflight.md"),
              severity: z.enum(["error", "warning"]).describe("An error stops every apply"),
              text: text("`<what> - <fix>`"),
              page: text("Where it is explained"),
            }),
          )
          .optional()
          .describe("Errors first; absent where the device was not examined"),
        offered,
        hostName: text("Empty where the device does not tell").optional(),
        machineId: text("SHA-256 of /etc/machine-id; empty where there is none").optional(),
        code: why.code.optional(),
        reason: why.reason.optional(),
      }),
    )
    .describe("In the order of the names"),
});

const OutcomeSchema = z.strictObject({
  id,
  state: z.enum(["enrolled", "already", "pending", "failed"]).describe("`already`: it was enrolled before"),
  fingerprint: text("Of the host key").optional(),
  replacedFingerprint: text("Of the host key that was pinned before, where it is another one").optional(),
  clock: text("What is wrong with its clock, and the fix").optional(),
  enrollment: z.looseObject({}).optional().describe("What went into the region's lock, see docs/inventory.md"),
  code: why.code.optional(),
  reason: why.reason.optional(),
});

const EnrollSchema = z.union([
  z.strictObject({
    region: text("Name of the region"),
    written: texts("Files that were written"),
    dropped: texts("Ids whose entries went, since the inventory has them no longer"),
    counts: counts(["enrolled", "already", "pending", "failed"]),
    devices: z.array(OutcomeSchema).describe("In the order of the inventory"),
  }),
  z.strictObject({
    region: text("Name of the region"),
    connect: z
      .array(
        z.strictObject({
          id,
          address: text("User, host and port"),
          through: text("Jump host; empty without one"),
          hostKey: z.enum(["pinned", "trust on first use"]).describe("How it is known"),
        }),
      )
      .describe("With `--dry-run`: whom it would connect to"),
    already: texts("With `--dry-run`: ids that are enrolled"),
  }),
]);

const noAnswer = {
  state: z.enum(["pending", "failed"]).optional().describe("Where the device said nothing of use"),
  code: why.code.optional(),
  offered,
};

const BackupListSchema = z.strictObject({
  device: id,
  url: text("Where copies are sent to; empty: they stay on the device").optional(),
  unsent: text("Why the last one could not be sent; empty: it could").optional(),
  copies: z
    .array(
      z.strictObject({
        name: text("`<time>`, or `<time>-before` for what a restore has replaced"),
        time: time("When it was made"),
        kib: count("What it takes on the disk, in KiB"),
        sent: z.boolean().describe("It is at `url`"),
      }),
    )
    .optional()
    .describe("The newest first"),
  ...noAnswer,
  reason: why.reason.optional(),
});

const BackupRestoreSchema = z.strictObject({
  device: id,
  result: z
    .enum(["restored", "rolled-back", "failed"])
    .optional()
    .describe("`rolled-back`: it did not become ready with the copy, and runs on what it had"),
  copy: text("The copy").optional(),
  before: text("The copy of what was there before; empty where nothing was").optional(),
  ...noAnswer,
  reason: why.reason,
});

/** By command. */
export const DEVICE_DOCUMENTS = {
  status: StatusSchema,
  up: UpSchema,
  preview: PreviewSchema,
  exec: ExecSchema,
  doctor: DoctorSchema,
  enroll: EnrollSchema,
  "backup list": BackupListSchema,
  "backup restore": BackupRestoreSchema,
} as const;
