/**
 * The bare program of the no-op benchmark: from the list of commands in commands.json to one component and one
 * `remote.Command` each, and nothing else: no inventory, no probe, no plan, no tree, no outputs.
 */
import { readFileSync } from "node:fs";
import { remote } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";

/** One command, as the benchmark writes it. */
interface PlannedCommand {
  readonly id: string;
  readonly connection: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly hostKey: string;
  };
  readonly create: string;
  readonly stdin: string;
}

class BareDevice extends pulumi.ComponentResource {
  constructor({ id, connection, create, stdin }: PlannedCommand) {
    super("bare:index:Device", id);
    new remote.Command(
      `${id}-apply`,
      { connection, create, stdin, logging: remote.Logging.None, addPreviousOutputInEnv: false },
      { parent: this },
    );
    this.registerOutputs();
  }
}

for (const command of JSON.parse(readFileSync("commands.json", "utf8")) as PlannedCommand[]) new BareDevice(command);
