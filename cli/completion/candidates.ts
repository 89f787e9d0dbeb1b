/** Words that may stand next on a command line and go on with its last one. */
import type { Argument, Command, Option } from "commander";
import { COMMAND_GROUPS } from "../catalog.ts";
import { buildProgram } from "../program.ts";
import { projectPath } from "../project.ts";
import { deviceNames, hubName, regionNames, ringNames } from "./names.ts";

/**
 * Words that fit.
 * @param words of the command line without the program's name, the last one half written or empty
 * @returns none where a file is to be named, or anything
 */
export async function candidates(words: readonly string[]): Promise<string[]> {
  const last = words.at(-1) ?? "";
  const [name = "", ...before] = words.slice(0, -1);
  const all = words.length < 2 ? commandNames() : await forCommand(name, before, last);
  return all.filter((word) => word.startsWith(last));
}

function commandNames(): string[] {
  const entries = COMMAND_GROUPS.flatMap(({ commands }) => commands);
  return [...entries.filter(({ hidden }) => hidden !== true).map(({ name }) => name), "--help", "--version"];
}

async function forCommand(name: string, before: readonly string[], last: string): Promise<string[]> {
  const command = (await buildProgram(name)).commands.find((candidate) => candidate.name() === name);
  if (command === undefined || before.includes("--")) return [];
  return command.commands.length === 0 ? forArguments(command, before, last) : forGroup(command, before, last);
}

/** A command of commands: which of them, and then what that one takes. */
function forGroup(group: Command, [name, ...before]: readonly string[], last: string): string[] {
  if (name === undefined) return [...group.commands.map((command) => command.name()), "--help"];
  const command = group.commands.find((candidate) => candidate.name() === name);
  return command === undefined ? [] : forArguments(command, before, last);
}

function forArguments(command: Command, before: readonly string[], last: string): string[] {
  const { positionals, pending } = readWords(command, before);
  const inventory = inventoryOf(command, before);
  if (pending !== undefined)
    return last.startsWith("-") && pending.variadic ? optionNames(command) : valuesOf(pending, inventory);
  if (last.startsWith("-")) return optionNames(command);
  const { registeredArguments } = command;
  const argument = registeredArguments[Math.min(positionals, registeredArguments.length - 1)];
  if (argument === undefined || (positionals >= registeredArguments.length && !argument.variadic)) return [];
  return argument.argChoices ?? namesFor(argument.name(), inventory);
}

/** How many words are arguments, and the option that still takes one. */
function readWords(
  command: Command,
  words: readonly string[],
): { readonly positionals: number; readonly pending: Option | undefined } {
  let positionals = 0;
  let pending: Option | undefined;
  for (const word of words) {
    if (word.startsWith("-") && word !== "-") {
      const option = command.options.find(({ long, short }) => word === long || word === short);
      pending = option !== undefined && (option.required || option.optional) ? option : undefined;
    } else if (pending === undefined) positionals += 1;
    else if (!pending.variadic) pending = undefined;
  }
  return { positionals, pending };
}

function optionNames(command: Command): string[] {
  return [...command.options.filter(({ hidden }) => !hidden).flatMap(({ long }) => long ?? []), "--help"];
}

function valuesOf(option: Option, inventory: string): string[] {
  if (option.argChoices !== undefined) return option.argChoices;
  const long = option.long ?? "";
  if (long === "--device" || long === "--accept-new-key") return deviceNames(inventory);
  return long === "--ring" ? ringNames(inventory) : [];
}

/** By the name that the usage of a command gives an argument. */
function namesFor(argument: ReturnType<Argument["name"]>, inventory: string): string[] {
  switch (argument) {
    case "device":
      return deviceNames(inventory);
    case "region":
      return regionNames(inventory);
    case "stacks":
      return [...hubName(inventory), ...regionNames(inventory)];
    case "name":
    case "target":
      return [...regionNames(inventory), ...deviceNames(inventory)];
    case "ring":
      return ringNames(inventory);
    default:
      return [];
  }
}

function inventoryOf(command: Command, words: readonly string[]): string {
  const option = command.options.find(({ long }) => long === "--inventory");
  const at = words.findIndex((word) => word === option?.long || word === option?.short);
  return (at < 0 ? undefined : words[at + 1]) ?? projectPath("stacks");
}
