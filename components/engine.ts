/**
 * Ways to deal with the engine that the SDK has no function for: the outputs of other stacks without a resource for each,
 * failed registrations that the engine itself has reported, and a run that fails once all is done.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import * as pulumi from "@pulumi/pulumi";

/**
 * Reads the outputs of a stack, secrets as they are. Unlike a `StackReference` this is no resource: nothing of the other
 * stack is copied into this one's state, and an error comes to the caller alone instead of failing the run beside it.
 * @param stack name of a stack of this project; it may be the running one, whose outputs are then those of its last run
 * @throws Error when the stack does not exist or its backend does not answer
 */
export async function readStackOutputs(stack: string): Promise<Readonly<Record<string, unknown>>> {
  const name = `${pulumi.getOrganization()}/${pulumi.getProject()}/${stack}`;
  const { outputs } = await pulumi.runtime.invoke("pulumi:pulumi:readStackOutputs", { name });
  return outputs as Readonly<Record<string, unknown>>;
}

/** A resource as the state of a stack has it. */
export interface StackResource {
  /** Its URN, which no other resource of the stack has. */
  readonly urn: string;
  /** Its type, e.g. `kubernetes:core/v1:Secret`. */
  readonly type: string;
  /** Its name within its type: the last part of the URN. */
  readonly name: string;
  /** Its outputs, of a component those that it registered; secrets as they are. */
  readonly outputs: Readonly<Record<string, unknown>>;
}

/**
 * Reads the resources of the running stack as its last run left them; none when it never ran.
 * @throws Error when the backend does not answer, or a secret of the state cannot be decrypted
 */
export async function readStackResources(): Promise<StackResource[]> {
  const stack = pulumi.getStack();
  if (!(await hasState(stack))) return [];
  const stackName = `${pulumi.getOrganization()}/${pulumi.getProject()}/${stack}`;
  const { outputs } = await pulumi.runtime.invoke("pulumi:pulumi:readStackResourceOutputs", { stackName });
  const resources = outputs as Readonly<Record<string, Pick<StackResource, "type" | "outputs">>>;
  return Object.entries(resources).map(([urn, { type, outputs: own }]) => ({
    urn,
    type,
    // A name may hold "::" itself: urn:pulumi:<stack>::<project>::<types>::<name>.
    name: urn.split("::").slice(3).join("::"),
    outputs: own,
  }));
}

/**
 * Whether a stack has a state. The engine dereferences the one that a stack lacks that never ran, and crashes
 * (`GetStackResourceOutputs` of pkg/backend/backend.go, v3.274.1). A stack whose first run was interrupted has a state and
 * no outputs, so that only `pulumi stack export` can tell.
 */
async function hasState(stack: string): Promise<boolean> {
  if (Object.keys(await readStackOutputs(stack)).length > 0) return true;
  const name = `${pulumi.getOrganization()}/${pulumi.getProject()}/${stack}`;
  const args = ["stack", "export", "--non-interactive", "--stack", name];
  const { stdout } = await promisify(execFile)("pulumi", args, { maxBuffer: MAX_STATE_BYTES }).catch((error: Error) => {
    throw new Error(
      `the state of stack ${stack} cannot be read: ${error.message} - put the pulumi that runs this on PATH`,
    );
  });
  const { deployment } = JSON.parse(stdout) as { readonly deployment?: { readonly resources?: readonly unknown[] } };
  return (deployment?.resources ?? []).length > 0;
}

/** 100,000 devices of 5 KB. */
const MAX_STATE_BYTES = 2 ** 29;

/**
 * Leaves a failed registration to the engine, which shows the provider's error beside the resource and fails the run. The
 * SDK rejects each output of such a resource, and reports those that nobody reads as "unhandled exception" of the program.
 * Not by `recover`, which makes another output of each: that took a tenth of the processor time of an `up`.
 */
export function leaveToEngine(resource: pulumi.Resource): void {
  for (const output of Object.values(resource)) {
    if (!pulumi.Output.isInstance(output)) continue;
    const { isKnown, isSecret } = output as unknown as Readonly<Record<"isKnown" | "isSecret", Promise<boolean>>>;
    for (const promise of [isKnown, isSecret]) promise.catch(() => undefined);
  }
}

/**
 * Awaits an output outside of a preview. The engine leaves what `--target` leaves out unknown there too, and `apply` never
 * runs on it.
 * @returns undefined where it is unknown
 */
export async function readOutput<T>(output: pulumi.Output<T>): Promise<T | undefined> {
  const { isKnown, promise } = output as unknown as {
    readonly isKnown: Promise<boolean>;
    readonly promise: () => Promise<T>;
  };
  return (await isKnown) ? promise.call(output) : undefined;
}

/** Arguments that a component hands to its `initialize` and that the state does not keep. */
export interface Unrecorded<T> {
  readonly args: T;
}

/**
 * Wraps the arguments of a component, which the engine else records as its inputs: an inventory of thousands of devices, in
 * every state. The SDK sends the enumerable properties (`serializeProperties` of @pulumi/pulumi/runtime/rpc).
 */
export function unrecorded<T>(args: T): pulumi.Inputs & Unrecorded<T> {
  return Object.defineProperty({}, "args", { value: args }) as pulumi.Inputs & Unrecorded<T>;
}

/** Exit code of a program that has said itself what is wrong (`@pulumi/pulumi/cmd/run`). */
const BAIL = 32;

/**
 * Makes the run fail, and everything else of it go on. In a preview it only warns: nothing that follows would be applied.
 * @param resource which the message is shown at
 */
export async function failAtEnd(message: string, resource: pulumi.Resource): Promise<void> {
  if (pulumi.runtime.isDryRun()) {
    await pulumi.log.warn(message, resource);
    return;
  }
  await pulumi.log.error(message, resource);
  process.exitCode = BAIL;
}
