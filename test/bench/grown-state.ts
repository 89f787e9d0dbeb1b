/**
 * State of a large stack without the wait for its first `up`: that of a stack that really applied one device, grown
 * until all of them are applied. Each device gets a copy of the real one's dial with its own name, plan and answer, so
 * that the engine finds nothing to do; benchmarks check that.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { CommandResult } from "../lab/run-command.ts";
import { succeed, type WantedDevice } from "./bench-fleet.ts";

/** An exported stack, as far as it is read or written here. */
export interface ExportedStack {
  readonly deployment: { readonly resources: readonly StateResource[] };
}

/** One of its resources. */
export interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly parent?: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** Runs `pulumi` in the project of the stack. */
export type RunPulumi = (args: readonly string[]) => Promise<CommandResult>;

/** Exports a stack. */
export async function exportStack(pulumi: RunPulumi, stack: string): Promise<ExportedStack> {
  const exported = succeed(await pulumi(["stack", "export", "--show-secrets", "--stack", stack]), "stack export");
  return JSON.parse(exported.stdout) as ExportedStack;
}

/** Replaces the state of a stack. @param folder where the file goes */
export async function importStack(pulumi: RunPulumi, stack: string, state: ExportedStack, folder: string) {
  const file = join(folder, `${stack}-grown.json`);
  writeFileSync(file, JSON.stringify(state), { mode: 0o600 });
  succeed(await pulumi(["stack", "import", "--file", file, "--stack", stack]), "stack import");
}

/**
 * Makes a state in which all devices are applied from one in which the first of them is. May be repeated with more.
 * @param unreachable devices that the last run did not reach. Default: none
 */
export function grow<T extends ExportedStack>(
  stack: T,
  devices: readonly WantedDevice[],
  unreachable: ReadonlySet<string> = new Set(),
): T {
  const [first, ...others] = devices;
  if (first === undefined) throw new Error("bench: a state cannot be grown without a device");
  const { resources } = stack.deployment;
  const grownBefore = new Set(others.map(({ plan }) => plan.id));
  const dial = resources.find(({ urn }) => nameOf(urn) === first.plan.id);
  if (dial === undefined) throw new Error(`bench: ${first.plan.id} is not in the state`);
  const rest = resources.filter((resource) => resource !== dial && !grownBefore.has(nameOf(resource.urn)));
  const all = devices.map(({ plan }) => copyDial(dial, first.plan.id, plan, unreachable.has(plan.id)));
  return { ...stack, deployment: { ...stack.deployment, resources: [...rest, ...all] } };
}

function copyDial(dial: StateResource, from: string, { id, text }: WantedDevice["plan"], unreachable: boolean) {
  const copy = JSON.parse(JSON.stringify(dial).replaceAll(from, id)) as StateResource;
  const stdout = unreachable
    ? { stdout: '{"attempt":"1","end":"ssh","text":"255 ssh: connect to host: Connection timed out"}' }
    : {};
  return { ...copy, inputs: { ...copy.inputs, stdin: text }, outputs: { ...copy.outputs, stdin: text, ...stdout } };
}

function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? "";
}
