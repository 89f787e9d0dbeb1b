/**
 * The sealing keys of a region: which devices one is for, a new one, and the end of those before. The private half goes from
 * this process' memory to `pulumi config set --secret` on its stdin: to no file, argument or terminal.
 */
import { makeSealingPair, sealingSecretKey } from "../../components/identity/sealing.ts";
import { type Inventory, type Region, regionLockFile } from "../../components/inventory/index.ts";
import { UsageError } from "../exit.ts";
import { editSealingKeys } from "../inventory-edit/lock.ts";
import { rewriteFile } from "../inventory-edit/write.ts";
import { setStackSecret } from "../pulumi/run.ts";

/** Which devices of a region a key is for. Neither: all. */
export interface SealingOwner {
  /** Those of this model. */
  readonly model?: string | undefined;
  /** This one alone. */
  readonly device?: string | undefined;
}

/**
 * The scope as the lock has it, e.g. `model/rpi4-4g`.
 * @throws UsageError when the region has no such model or device
 */
export function sealingScopeOf({ name, devices }: Region, { model, device }: SealingOwner): string {
  const refuse = (what: string, known: readonly string[]) =>
    new UsageError(`region ${name} has no ${what} - use one of ${known.join(", ") || "none yet"}`);
  const models = [...new Set(devices.map(({ entry }) => entry.model))].sort();
  if (model !== undefined && !models.includes(model)) throw refuse(`device of model ${model}`, models);
  if (device !== undefined && !devices.some(({ entry }) => entry.id === device))
    throw new UsageError(`region ${name} has no device ${device} - use an id of its file`);
  return device !== undefined ? `device/${device}` : model !== undefined ? `model/${model}` : "region";
}

/**
 * The certificate that seals for a scope.
 * @throws UsageError when there is none yet
 */
export function sealingCertificate({ name, lock }: Region, scope: string): string {
  const found = lock.sealing.find((key) => key.for === scope);
  if (found !== undefined) return found.certificate;
  const [kind, owner] = scope.split("/");
  const option = owner === undefined ? "" : ` --${kind} ${owner}`;
  throw new UsageError(`${lock.file} has no sealing key for ${scope} - run edge-fleet seal ${name}${option} --new-key`);
}

/**
 * Makes a key, which seals from now on; those before go on opening.
 * @param stack of the region, as Pulumi takes it
 * @returns the secret's key in the stack's configuration
 * @throws Error when Pulumi does not take the secret; the lock is then as it was
 */
export async function addSealingKey(
  { directory }: Pick<Inventory, "directory">,
  { name }: Pick<Region, "name">,
  scope: string,
  stack: string,
): Promise<string> {
  const { certificate, key } = makeSealingPair(name, new Date());
  const secret = sealingSecretKey(certificate);
  await setStackSecret(stack, `edge-fleet:${secret}`, key);
  const file = regionLockFile(directory, name);
  rewriteFile(file, (text) =>
    editSealingKeys({ file, region: name }, text, (keys) => [{ for: scope, certificate }, ...keys]),
  );
  return secret;
}

/**
 * Lets every key of a scope go but the newest: what was sealed with them opens no more.
 * @returns their secrets' keys, which the stack's configuration still has
 */
export function forgetOldKeys(
  { directory }: Pick<Inventory, "directory">,
  { name, lock }: Region,
  scope: string,
): string[] {
  const [, ...old] = lock.sealing.filter((key) => key.for === scope);
  const certificates = new Set(old.map(({ certificate }) => certificate));
  const file = regionLockFile(directory, name);
  if (old.length > 0)
    rewriteFile(file, (text) =>
      editSealingKeys({ file, region: name }, text, (keys) => keys.filter((key) => !certificates.has(key.certificate))),
    );
  return old.map(({ certificate }) => sealingSecretKey(certificate));
}
