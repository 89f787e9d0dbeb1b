/**
 * State of a large stack without the wait for its first `up`: from the exported state of a stack that really applied one
 * device, and what every device would be sent, to a state in which all of them are applied. Each device gets copies of the
 * real one's resources with its own name, inputs and answer, so that the engine finds nothing to do; benchmarks check that.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DeviceSpec } from "../../components/device/plan.ts";
import type { CommandResult } from "../lab/run-command.ts";
import { succeed } from "./bench-fleet.ts";

/** What of an exported stack is read or written here. */
interface ExportedStack {
  readonly deployment: { readonly resources: readonly StateResource[] };
}

interface StateResource {
  readonly urn: string;
  readonly type: string;
  readonly inputs?: Readonly<Record<string, unknown>>;
  readonly outputs?: Readonly<Record<string, unknown>>;
}

/** Runs `pulumi` in the project of the stack. */
export type RunPulumi = (args: readonly string[]) => Promise<CommandResult>;

/**
 * Replaces the state of a stack that has applied the first of the devices by one that has applied all of them. May be
 * repeated with more devices.
 * @param folder where the files of the export and import go
 */
export async function growState(
  pulumi: RunPulumi,
  stack: string,
  specs: readonly DeviceSpec[],
  folder: string,
): Promise<void> {
  const exported = succeed(await pulumi(["stack", "export", "--show-secrets", "--stack", stack]), "stack export");
  const file = join(folder, `${stack}-grown.json`);
  writeFileSync(file, JSON.stringify(grow(JSON.parse(exported.stdout) as ExportedStack, specs)), { mode: 0o600 });
  succeed(await pulumi(["stack", "import", "--file", file, "--stack", stack]), "stack import");
}

function grow<T extends ExportedStack>(stack: T, specs: readonly DeviceSpec[]): T {
  const [first, ...others] = specs;
  if (first === undefined) throw new Error("bench: a state cannot be grown without a device");
  const { resources } = stack.deployment;
  const grownBefore = new Set(others.flatMap(({ id }) => [id, `${id}-apply`]));
  const real = resources.filter(({ urn }) => !grownBefore.has(nameOf(urn)));
  const own = real.filter(({ urn }) => nameOf(urn).startsWith(first.id));
  const all = specs.flatMap((spec) => own.map((resource) => copyResource(resource, first, spec)));
  const rest = real.filter((resource) => !own.includes(resource)).map((resource) => addOutputs(resource, specs));
  return { ...stack, deployment: { ...stack.deployment, resources: [...rest, ...all] } };
}

function copyResource(resource: StateResource, from: DeviceSpec, to: DeviceSpec): StateResource {
  const copy = JSON.parse(JSON.stringify(resource).replaceAll(from.id, to.id)) as StateResource;
  if (copy.inputs === undefined || copy.outputs === undefined) return copy;
  const { connection, create, stdin } = to;
  const own = { connection: secret(connection), create, stdin };
  const answer = JSON.parse(String(copy.outputs.stdout)) as Record<string, unknown>;
  const stdout = JSON.stringify({ ...answer, device: to.id, hash: to.hash });
  return { ...copy, inputs: { ...copy.inputs, ...own }, outputs: { ...copy.outputs, ...own, stdout } };
}

/** The stack's outputs `devices` and `programs` name all of them; a stack without them stays as it is. */
function addOutputs(resource: StateResource, specs: readonly DeviceSpec[]): StateResource {
  if (resource.type !== "pulumi:pulumi:Stack" || resource.outputs?.devices === undefined) return resource;
  const devices = Object.fromEntries(specs.map(({ id, hash }) => [id, hash]));
  const programs = Object.fromEntries(specs.map(({ id, program }) => [id, program]));
  return { ...resource, outputs: { ...resource.outputs, devices, programs } };
}

/** A secret as exported states write it: marked by this pair, from sdk/go/common/resource/sig of Pulumi. */
function secret(value: unknown): Readonly<Record<string, string>> {
  return { "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", plaintext: JSON.stringify(value) };
}

function nameOf(urn: string): string {
  return urn.split("::").at(-1) ?? "";
}
