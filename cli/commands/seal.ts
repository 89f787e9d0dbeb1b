/** `edge-fleet seal`: encrypts a Secret for the devices of a region, so that it can lie in Git; and makes the keys for it. */

import { readFileSync } from "node:fs";
import { text as readAll } from "node:stream/consumers";
import { type Command, Option } from "commander";
import { runsSealedSecrets } from "../../components/gitops/engine/sealed-secrets/settings.ts";
import { formatObjects, WORKLOAD_NAMESPACE } from "../../components/gitops/index.ts";
import { type Inventory, type Region, resolveRegion } from "../../components/inventory/index.ts";
import { EXIT, type ExitCode, UsageError } from "../exit.ts";
import { addSealingKey, forgetOldKeys, sealingCertificate, sealingScopeOf } from "../seal/keys.ts";
import { SEALING_SCOPES, type SealingScope, sealSecret } from "../seal/seal.ts";
import { type ClearSecret, parseSecret, secretOfFiles } from "../seal/secret.ts";
import { inventoryOf, inventoryOption } from "./options.ts";

interface SealOptions {
  readonly inventory: string;
  readonly model?: string;
  readonly device?: string;
  readonly file?: string;
  readonly fromFile: readonly string[];
  readonly name?: string;
  readonly namespace?: string;
  readonly scope: SealingScope;
  readonly newKey?: true;
  readonly forgetOldKeys?: true;
  readonly stack?: string;
}

const HELP = `
Reads one Secret from stdin or --file and prints the SealedSecret, which is committed below components/region/<region>/team/ of
the tree, or in the folder of a workload that only these devices take. It asks nobody: the certificate is in
<region>.lock.yaml. What is sealed opens under its name and in its namespace alone, so Kustomize must not change them.
--new-key makes a key: the certificate goes into the lock, the private half into the stack's configuration as a secret.
Exit codes: 0 done, 1 Pulumi did not take the secret, 2 wrong usage, Secret or inventory.`;

/** Registers the command. */
export function registerSeal(program: Command): void {
  program
    .command("seal")
    .description("encrypt a Secret for the devices of a region, so that it can lie in Git")
    .argument("<region>", "region whose devices open it")
    .addOption(inventoryOption())
    .option("--model <model>", "only the region's devices of this model open it")
    .addOption(new Option("-d, --device <id>", "only this device opens it").conflicts("model"))
    .option("-f, --file <path>", "the Secret, YAML or JSON (default: stdin)")
    .option("--from-file <key=path...>", "make the Secret of files instead; /dev/stdin: what is piped in", [])
    .option("--name <name>", "name of the Secret, where it says none")
    .option("-n, --namespace <namespace>", `its namespace, where it says none (default: ${WORKLOAD_NAMESPACE})`)
    .addOption(new Option("--scope <scope>", "where it opens").choices(SEALING_SCOPES).default("strict"))
    .addOption(
      new Option("--new-key", "make a key that seals from now on; those before go on opening").conflicts([
        "file",
        "fromFile",
      ]),
    )
    .addOption(
      new Option("--forget-old-keys", "let go of all keys but the newest, once everything is sealed anew").conflicts([
        "file",
        "newKey",
      ]),
    )
    .option("--stack <stack>", "the region's stack as Pulumi takes it (default: the region)")
    .addHelpText("after", HELP)
    .action(async (region: string, options: SealOptions) => {
      process.exitCode = await seal(region, options);
    });
}

async function seal(name: string, options: SealOptions): Promise<ExitCode> {
  const inventory = inventoryOf(options);
  const region = inventory.regions.get(name);
  if (region === undefined)
    throw new UsageError(
      `${options.inventory} has no region ${name} - use one of ${[...inventory.regions.keys()].join(", ")}`,
    );
  const scope = sealingScopeOf(region, options);
  if (options.newKey) return newKey(inventory, region, scope, options.stack ?? name);
  if (options.forgetOldKeys) return forget(inventory, region, scope, options.stack ?? name);
  const certificate = sealingCertificate(region, scope);
  process.stdout.write(formatObjects([], [sealSecret(await readSecret(options), certificate, options.scope)]));
  if (!resolveRegion(inventory, name).some(runsSealedSecrets))
    process.stderr.write(`warning: no device of ${name} opens it yet - set gitops.secrets to sealed-secrets\n`);
  return EXIT.ok;
}

async function readSecret({ file, fromFile, name, namespace }: SealOptions): Promise<ClearSecret> {
  const place = { name, namespace };
  if (fromFile.length > 0) {
    if (file !== undefined) throw new UsageError("--file and --from-file are both there - leave one out");
    return secretOfFiles(fromFile, place, namespace ?? WORKLOAD_NAMESPACE);
  }
  if (file === undefined && process.stdin.isTTY)
    throw new UsageError("there is no Secret - pipe one in, or use --file or --from-file");
  const text = file === undefined ? await readAll(process.stdin) : readText(file);
  return parseSecret(file ?? "(stdin)", text, place, WORKLOAD_NAMESPACE);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message} - name a file`);
  }
}

async function newKey(inventory: Inventory, region: Region, scope: string, stack: string): Promise<ExitCode> {
  const secret = await addSealingKey(inventory, region, scope, stack);
  process.stdout.write(
    `${region.name}: ${scope} has a new sealing key; its private half is the secret edge-fleet:${secret} of stack ${stack}\n` +
      `Next: commit ${region.lock.file} and the stack's file, then run edge-fleet up ${region.name}\n`,
  );
  return EXIT.ok;
}

function forget(inventory: Inventory, region: Region, scope: string, stack: string): ExitCode {
  const secrets = forgetOldKeys(inventory, region, scope);
  process.stdout.write(`${region.name}: ${scope} had ${secrets.length} older sealing key(s)\n`);
  for (const secret of secrets) process.stdout.write(`Next: pulumi config rm edge-fleet:${secret} --stack ${stack}\n`);
  return EXIT.ok;
}
