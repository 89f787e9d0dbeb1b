/**
 * The commands, in the order in which an operator meets them: what each is called and for, and where it is. A command's
 * own code is only loaded to run it, or to tell of its options.
 */
import type { Register } from "./commands/options.ts";

/** A command that is not loaded. */
export interface CommandEntry {
  readonly name: string;
  /** In the list of commands, one line. */
  readonly summary: string;
  /** One that works as it is written, but for the names. */
  readonly example: string;
  /** Not in the list. Default false. */
  readonly hidden?: true;
  readonly load: () => Promise<Register>;
}

/** Commands that belong together. */
export interface CommandGroup {
  /** Ends with a colon, as a heading of the help. */
  readonly heading: string;
  readonly commands: readonly CommandEntry[];
}

const SET_UP: CommandGroup = {
  heading: "Set up:",
  commands: [
    {
      name: "init",
      summary: "begin a repository for a fleet",
      example: "edge-fleet init fleet --name acme",
      load: async () => (await import("./commands/init.ts")).registerInit,
    },
    {
      name: "import",
      summary: "bring machines from other tools' files into the inventory",
      example: "edge-fleet import --ansible hosts.yaml",
      load: async () => (await import("./commands/import.ts")).registerImport,
    },
    {
      name: "enroll",
      summary: "pin host keys and identities of new devices",
      example: "edge-fleet enroll tokyo",
      load: async () => (await import("./commands/enroll.ts")).registerEnroll,
    },
    {
      name: "lock",
      summary: "pin every artifact that the fleet uses to its hash",
      example: "edge-fleet lock",
      load: async () => (await import("./commands/lock.ts")).registerLock,
    },
    {
      name: "seal",
      summary: "encrypt a Secret for devices, so that it can lie in Git",
      example: "edge-fleet seal tokyo --file secret.yaml",
      load: async () => (await import("./commands/seal.ts")).registerSeal,
    },
  ],
};

const RUN: CommandGroup = {
  heading: "Run:",
  commands: [
    {
      name: "check",
      summary: "refuse settings and manifests that cannot work",
      example: "edge-fleet check",
      load: async () => (await import("./commands/check.ts")).registerCheck,
    },
    {
      name: "stacks",
      summary: "list the stacks, or those that a change touches",
      example: "edge-fleet stacks --changed-since origin/main",
      load: async () => (await import("./commands/stacks.ts")).registerStacks,
    },
    {
      name: "preview",
      summary: "show what `up` would change",
      example: "edge-fleet preview tokyo --diff",
      load: async () => (await import("./commands/preview.ts")).registerPreview,
    },
    {
      name: "up",
      summary: "apply stacks, and say what became of each device",
      example: "edge-fleet up tokyo --device tokyo-0001",
      load: async () => (await import("./commands/up.ts")).registerUp,
    },
  ],
};

const LOOK: CommandGroup = {
  heading: "Look:",
  commands: [
    {
      name: "status",
      summary: "show how each device is, by the stacks and by the hub",
      example: "edge-fleet status tokyo --failed --pending",
      load: async () => (await import("./commands/status.ts")).registerStatus,
    },
    {
      name: "report",
      summary: "write the fleet as one HTML page, or serve it",
      example: "edge-fleet report --out fleet.html",
      load: async () => (await import("./commands/report.ts")).registerReport,
    },
    {
      name: "overview",
      summary: "show what the fleet is: counts, ports, a picture",
      example: "edge-fleet overview --markdown",
      load: async () => (await import("./commands/overview.ts")).registerOverview,
    },
    {
      name: "explain",
      summary: "show a device's settings and what comes of them",
      example: "edge-fleet explain tokyo-0001 --script",
      load: async () => (await import("./commands/explain.ts")).registerExplain,
    },
    {
      name: "logs",
      summary: "show what a device has logged",
      example: "edge-fleet logs tokyo-0001 apply unit --follow",
      load: async () => (await import("./commands/logs.ts")).registerLogs,
    },
    {
      name: "ssh",
      summary: "log in on a device, or run one command there",
      example: "edge-fleet ssh tokyo-0001 -- uptime",
      load: async () => (await import("./commands/ssh.ts")).registerSsh,
    },
    {
      name: "kubeconfig",
      summary: "reach the cluster of a device with kubectl",
      example: "edge-fleet kubeconfig tokyo-0001 --exec kubectl get pods -A",
      load: async () => (await import("./commands/kubeconfig.ts")).registerKubeconfig,
    },
    {
      name: "exec",
      summary: "run one command on a device or on a whole region",
      example: "edge-fleet exec tokyo --yes -- df -h /",
      load: async () => (await import("./commands/exec.ts")).registerExec,
    },
  ],
};

const ROLL_OUT: CommandGroup = {
  heading: "Roll out:",
  commands: [
    {
      name: "render",
      summary: "write the GitOps tree",
      example: "edge-fleet render --check",
      load: async () => (await import("./commands/render.ts")).registerRender,
    },
    {
      name: "diff",
      summary: "show what devices would get otherwise between two commits",
      example: "edge-fleet diff origin/main",
      load: async () => (await import("./commands/diff.ts")).registerDiff,
    },
    {
      name: "promote",
      summary: "pin a ring to a commit, once the ring before has run it well",
      example: "edge-fleet promote canary --to main --push",
      load: async () => (await import("./commands/promote.ts")).registerPromote,
    },
    {
      name: "rollback",
      summary: "take a ring back to the commit that it ran before",
      example: "edge-fleet rollback canary --push",
      load: async () => (await import("./commands/rollback.ts")).registerRollback,
    },
    {
      name: "freeze",
      summary: "refuse promotions until the freeze is lifted",
      example: 'edge-fleet freeze broad --reason "holidays"',
      load: async () => (await import("./commands/freeze.ts")).registerFreeze,
    },
    {
      name: "rings",
      summary: "show what each ring runs, and how its devices are",
      example: "edge-fleet rings --kubeconfig hub.yaml",
      load: async () => (await import("./commands/rings.ts")).registerRings,
    },
  ],
};

const CARE: CommandGroup = {
  heading: "Care:",
  commands: [
    {
      name: "doctor",
      summary: "ask devices what is wrong with them",
      example: "edge-fleet doctor tokyo",
      load: async () => (await import("./commands/doctor.ts")).registerDoctor,
    },
    {
      name: "backup",
      summary: "restore a device's datastore, or a hub's Applications",
      example: "edge-fleet backup restore tokyo-0001 --copy 20260501T080000Z",
      load: async () => (await import("./commands/backup/index.ts")).registerBackup,
    },
  ],
};

const SHELL: CommandGroup = {
  heading: "Shell:",
  commands: [
    {
      name: "completion",
      summary: "print the completion script of a shell",
      example: 'eval "$(edge-fleet completion bash)"',
      load: async () => (await import("./commands/completion.ts")).registerCompletion,
    },
    {
      name: "complete",
      summary: "what the completion scripts ask",
      example: "edge-fleet complete -- edge-fleet logs tokyo-",
      hidden: true,
      load: async () => (await import("./commands/complete.ts")).registerComplete,
    },
    {
      name: "schema",
      summary: "print the JSON Schemas of the inventory files",
      example: "edge-fleet schema",
      hidden: true,
      load: async () => (await import("./commands/schema.ts")).registerSchema,
    },
  ],
};

/** All of them. */
export const COMMAND_GROUPS: readonly CommandGroup[] = [SET_UP, RUN, LOOK, ROLL_OUT, CARE, SHELL];
