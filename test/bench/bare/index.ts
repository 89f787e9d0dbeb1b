/**
 * The bare program of the no-op benchmark: from the list of dials in dials.json to one `local.Command` each, and nothing
 * else: no inventory, no plan, no tree, no outputs.
 */
import { readFileSync } from "node:fs";
import { local } from "@pulumi/command";

/** The arguments of one dial, as the benchmark finds them in the state of the region's stack. */
interface RecordedDial {
  readonly id: string;
  readonly create: string;
  readonly stdin: string;
  readonly environment: Readonly<Record<string, string>>;
}

for (const { id, ...args } of JSON.parse(readFileSync("dials.json", "utf8")) as RecordedDial[])
  new local.Command(id, { ...args, logging: local.Logging.None, addPreviousOutputInEnv: true }, { protect: true });
