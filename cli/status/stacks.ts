/** What the stacks of regions say of their devices: the outputs of their last runs, read only. */
import { mapBounded } from "../parallel.ts";
import { runProgram } from "../process.ts";
import { agentReleases, type DeviceRow, deviceRows } from "../pulumi/report.ts";
import { stackOutputs } from "../pulumi/run.ts";
import { printable } from "../terminal.ts";

/** One region's stack. */
export interface StackReading {
  /** Devices by id; undefined where the stack could not be read. */
  readonly devices: ReadonlyMap<string, DeviceRow> | undefined;
  /** See `agentReleases`. */
  readonly agents: ReadonlyMap<string, string>;
  /** When a run last changed its state, in RFC 3339; undefined where none has or nobody tells. */
  readonly lastRun: string | undefined;
  /** A run is at work on it. */
  readonly running: boolean;
  /** Why it could not be read; undefined where it could. */
  readonly problem: Error | undefined;
}

/** What `pulumi stack ls --json` says of a stack. */
interface ListedStack {
  readonly name: string;
  readonly lastUpdate?: string;
  readonly updateInProgress?: boolean;
  /** Absent or 0: no run has succeeded in making anything. */
  readonly resourceCount?: number;
}

/** Stacks at a time: each is a process, and a read of a backend that may be far. */
const PARALLEL = 4;

/** Reads the stacks. A region whose stack does not exist has no devices. Never rejects. */
export async function readStacks(regions: readonly string[]): Promise<ReadonlyMap<string, StackReading>> {
  const listing = listStacks();
  const readings = await mapBounded(regions, PARALLEL, async (region) => {
    const { devices, agents, problem } = await readDevices(region);
    const { lastUpdate, resourceCount = 0, updateInProgress } = (await listing).get(region) ?? {};
    const lastRun = resourceCount > 0 ? lastUpdate : undefined;
    return [region, { devices, agents, lastRun, running: updateInProgress === true, problem }] as const;
  });
  return new Map(readings);
}

async function readDevices(region: string): Promise<Pick<StackReading, "devices" | "agents" | "problem">> {
  const agents = new Map<string, string>();
  try {
    const outputs = await stackOutputs(region);
    const devices = new Map(deviceRows(outputs).map((row) => [row.id, row]));
    return { devices, agents: agentReleases(outputs), problem: undefined };
  } catch (error) {
    const problem = error instanceof Error ? error : new Error(String(error));
    if (problem.message.includes("no stack named")) return { devices: new Map(), agents, problem: undefined };
    problem.message = printable(problem.message);
    return { devices: undefined, agents, problem };
  }
}

/** By their names alone. Empty where they cannot be listed: the reading of each tells why. */
async function listStacks(): Promise<ReadonlyMap<string, ListedStack>> {
  const { exitCode, stdout } = await runProgram("pulumi", ["stack", "ls", "--json", "--non-interactive"], {
    timeoutMs: 120_000,
    environment: { PULUMI_SKIP_UPDATE_CHECK: "true" },
    maxOutputBytes: 16 * 1024 * 1024,
  });
  if (exitCode !== 0) return new Map();
  const stacks = JSON.parse(stdout) as readonly ListedStack[];
  return new Map(stacks.map((stack) => [stack.name.split("/").at(-1) ?? "", stack]));
}
