/**
 * The command line as commander sees it: every command is one file that registers itself here. Errors are thrown, never
 * printed and exited from inside, so that the program can be tested.
 */
import { Command } from "commander";
import { registerBackups } from "./commands/backups.ts";
import { registerCheck } from "./commands/check.ts";
import { registerDiff } from "./commands/diff.ts";
import { registerDoctor } from "./commands/doctor.ts";
import { registerEnroll } from "./commands/enroll.ts";
import { registerExec } from "./commands/exec.ts";
import { registerExplain } from "./commands/explain.ts";
import { registerFreeze } from "./commands/freeze.ts";
import { registerImport } from "./commands/import.ts";
import { registerInit } from "./commands/init.ts";
import { registerKubeconfig } from "./commands/kubeconfig.ts";
import { registerLock } from "./commands/lock.ts";
import { registerLogs } from "./commands/logs.ts";
import type { Register } from "./commands/options.ts";
import { registerOverview } from "./commands/overview.ts";
import { registerPreview } from "./commands/preview.ts";
import { registerPromote } from "./commands/promote.ts";
import { registerPulls } from "./commands/pulls.ts";
import { registerRender } from "./commands/render.ts";
import { registerRestore } from "./commands/restore.ts";
import { registerRings } from "./commands/rings.ts";
import { registerRollback } from "./commands/rollback.ts";
import { registerSchema } from "./commands/schema.ts";
import { registerScript } from "./commands/script.ts";
import { registerSsh } from "./commands/ssh.ts";
import { registerStacks } from "./commands/stacks.ts";
import { registerStatus } from "./commands/status.ts";
import { registerUp } from "./commands/up.ts";
import { MANIFEST } from "./package.ts";

/** The commands in the order in which an operator meets them. */
const COMMANDS: readonly Register[] = [
  registerInit,
  registerImport,
  registerOverview,
  registerStacks,
  registerLock,
  registerDoctor,
  registerEnroll,
  registerPreview,
  registerUp,
  registerRender,
  registerCheck,
  registerDiff,
  registerPromote,
  registerRollback,
  registerFreeze,
  registerRings,
  registerStatus,
  registerLogs,
  registerSsh,
  registerKubeconfig,
  registerExec,
  registerBackups,
  registerRestore,
  registerExplain,
  registerScript,
  registerPulls,
  registerSchema,
];

/** The whole program. Parsing throws CommanderError for help, version and wrong usage. */
export function buildProgram(): Command {
  const program = new Command("edge-fleet")
    .description("Bare Linux devices to autonomous Kubernetes clusters that pull their workloads from Git")
    .version(MANIFEST.version, "--version")
    .showHelpAfterError("(see --help)")
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .exitOverride();
  for (const register of COMMANDS) register(program);
  return program;
}
