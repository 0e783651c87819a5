/**
 * What is wrong with workflow files, for whoever looks at the terminal while he writes them: each fault once, however
 * often the files are read, and once more that it is gone.
 */
import type { WorkflowFileError } from '../../domain/agent-protocol.ts';
import { colors } from './colors.ts';
import { printable } from './output.ts';

/** The rest of a message stands on the page of the agents. */
const MAX_CHARACTERS = 400;

/** @returns what gives the lines that are new, out of all faults of a reading */
export function createFileFaultLines(): (faults: readonly WorkflowFileError[]) => string[] {
  let told: ReadonlyMap<string, string> = new Map();
  return (faults) => {
    const now = new Map(faults.map(({ file, message }) => [file, message]));
    const lines = [
      ...[...now]
        .filter(([file, message]) => told.get(file) !== message)
        .map(([file, message]) => `${colors.red('■')} ${printable(file)}: ${inOneLine(message)}`),
      ...[...told.keys()]
        .filter((file) => !now.has(file))
        .map((file) => `${colors.green('●')} ${printable(file)}: nothing is wrong any more`),
    ];
    told = now;
    return lines;
  };
}

function inOneLine(message: string): string {
  const line = printable(message.replace(/\s+/g, ' ').trim());
  return line.length > MAX_CHARACTERS ? `${line.slice(0, MAX_CHARACTERS)} …` : line;
}
