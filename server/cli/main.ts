/** The command line. Exit code 0: done; 1: failed; 2: called wrongly. */
import { Command, CommanderError } from 'commander';
import { ConfigError } from '../config.ts';
import { VERSION } from '../version.ts';
import { colors } from './colors.ts';
import { completionServerCommand } from './commands/completion.ts';
import { ExitWith, UsageError } from './exit.ts';
import { COMMANDS } from './registry.ts';

/**
 * Runs one command.
 * @param argv arguments behind the program's name
 * @returns the exit code
 */
export async function main(argv: readonly string[]): Promise<number> {
  try {
    await buildProgram().parseAsync([...argv], { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
    if (error instanceof ExitWith) return error.code;
    const message = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${colors.red('signalbox:')} ${message}\n`);
    return error instanceof UsageError || error instanceof ConfigError ? 2 : 1;
  }
}

function buildProgram(): Command {
  const program = new Command('signalbox')
    .description('Runs data workflows, sees them fail, puts them right and proves it.')
    .version(VERSION);
  for (const make of COMMANDS) program.addCommand(make());
  program.addCommand(
    completionServerCommand(() => program),
    { hidden: true },
  );
  for (const command of [program, ...allCommands(program)]) {
    command
      .exitOverride()
      .showSuggestionAfterError(true)
      .showHelpAfterError('(--help shows how it is used)');
  }
  return program;
}

function allCommands(command: Command): Command[] {
  return command.commands.flatMap((one) => [one, ...allCommands(one)]);
}

if (import.meta.main) {
  process.exitCode = await main(process.argv.slice(2));
  // An open channel to a supervisor would keep the process alive.
  if (process.connected) process.disconnect();
}
