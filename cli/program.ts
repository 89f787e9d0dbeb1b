/**
 * The command line as commander sees it. Errors are thrown, never printed and exited from inside, so that the program can
 * be tested.
 */
import { Command } from "commander";
import { COMMAND_GROUPS, type CommandEntry } from "./catalog.ts";
import { MANIFEST } from "./package.ts";

/**
 * The program. Parsing throws CommanderError for help, version and wrong usage.
 * @param needed command that is to be run: the others are only names, in the help and where a name is mistyped. Default:
 * all are whole
 */
export async function buildProgram(needed?: string): Promise<Command> {
  const program = new Command("edge-fleet")
    .description("Bare Linux devices to autonomous Kubernetes clusters that pull their workloads from Git")
    .version(MANIFEST.version, "--version")
    .showHelpAfterError("(see --help)")
    .showSuggestionAfterError()
    .enablePositionalOptions()
    .configureHelp({ subcommandTerm: (command) => command.name() })
    .addHelpText("after", "\nedge-fleet <command> --help tells of a command, with an example.")
    .exitOverride();
  for (const { heading, commands } of COMMAND_GROUPS)
    for (const entry of commands) {
      const command = await addCommand(program, entry, needed === undefined || needed === entry.name);
      command.summary(entry.summary).helpGroup(heading);
    }
  return program.commandsGroup("Shell:").helpCommand("help [command]", "tell of a command, as its --help");
}

async function addCommand(program: Command, entry: CommandEntry, whole: boolean): Promise<Command> {
  const { name, hidden = false, example } = entry;
  if (!whole) return program.command(name, { hidden });
  (await entry.load())(program);
  const command = program.commands.find((candidate) => candidate.name() === name);
  if (command === undefined) throw new Error(`the file of command ${name} registers another one`);
  return command.addHelpText("after", `\nExample:\n  ${example}`);
}

/** Name of the command that is to be run; undefined where none is named. @param words after the program's name */
export function commandOf(words: readonly string[]): string | undefined {
  const [first, second] = words.filter((word) => !word.startsWith("-"));
  return first === "help" ? second : first;
}
