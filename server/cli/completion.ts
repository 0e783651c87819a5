/**
 * What could come next on a command line: subcommands, options, the choices of an option, and names of things that
 * the server knows. Pure but for those names, which are asked for by whoever calls.
 */
import type { Argument, Command, Option } from 'commander';

export interface Proposal {
  readonly name: string;
  readonly description?: string;
}

/** Gives names of things of a kind, e.g. of workflows; none where they cannot be had in a moment. */
export type NamesOf = (argument: string, path: readonly string[]) => Promise<readonly string[]>;

/** Whether the shell should propose files. */
export const FILES = Symbol('files');

const TAKES_FILES = /^<?(dir|directory|directories|file|path)/i;

/**
 * @param words the words before the one that is being written, without the program's name
 * @param current the beginning of the word that is being written
 */
export async function propose(
  program: Command,
  words: readonly string[],
  current: string,
  namesOf: NamesOf,
): Promise<readonly Proposal[] | typeof FILES> {
  const { command, path, args, open } = walk(program, words);
  if (open) return proposeValue(open, current);
  if (current.startsWith('-')) {
    return command.options.flatMap(({ long, description, hidden }) =>
      long && !hidden && long.startsWith(current) ? { name: long, description } : [],
    );
  }
  const subcommands = command.createHelp().visibleCommands(command);
  if (subcommands.length > 0 && args.length === 0) {
    return subcommands
      .filter((one) => one.name().startsWith(current))
      .map((one) => ({ name: one.name(), description: one.description() }));
  }
  const argument = command.registeredArguments[args.length] ?? variadic(command);
  if (argument === undefined) return [];
  if (argument.argChoices) return matching(argument.argChoices, current);
  if (TAKES_FILES.test(argument.name())) return FILES;
  return matching(await namesOf(argument.name(), path), current);
}

function proposeValue(option: Option, current: string): readonly Proposal[] | typeof FILES {
  if (option.argChoices) return matching(option.argChoices, current);
  return TAKES_FILES.test(option.flags.split(/[ =]/).at(-1) ?? '') ? FILES : [];
}

function matching(names: readonly string[], current: string): readonly Proposal[] {
  return names.filter((name) => name.startsWith(current)).map((name) => ({ name }));
}

function variadic(command: Command): Argument | undefined {
  const last = command.registeredArguments.at(-1);
  return last?.variadic ? last : undefined;
}

/** Where the words lead: a command, its arguments so far, and an option that still wants its value. */
function walk(program: Command, words: readonly string[]) {
  let command = program;
  const path: string[] = [];
  const args: string[] = [];
  let open: Option | undefined;
  for (const word of words) {
    if (open) {
      open = undefined;
      continue;
    }
    if (word.startsWith('-')) {
      const option = command.options.find(({ long, short }) => word === long || word === short);
      if (option?.required || option?.optional) open = option;
      continue;
    }
    const below = command.commands.find((one) => one.name() === word);
    if (below && args.length === 0) {
      command = below;
      path.push(word);
    } else {
      args.push(word);
    }
  }
  return { command, path, args, open };
}
