import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { createPoolCommand } from '../../domain/pool.ts';

/** What a shell makes of the words behind the program. */
function wordsOf(command: string): readonly string[] {
  const told = execFileSync('sh', ['-c', `signalbox() { printf '%s\\n' "$@"; }; ${command}`]);
  return told.toString().trimEnd().split('\n');
}

describe('the command that creates a pool', () => {
  it.each(['warehouse', 'two words', "ann's", '$(echo run) `echo run` "$HOME"'])(
    'names it as it is, and has a shell run nothing of it: %s',
    (name) => {
      expect(wordsOf(createPoolCommand(name, 'feature'))).toEqual([
        'pools',
        'set',
        name,
        '--max',
        '10',
        '--environment',
        'feature',
      ]);
    },
  );
});
