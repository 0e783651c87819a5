import { describe, expect, it } from 'vitest';
import { createFileFaultLines } from '../../server/cli/file-fault-lines.ts';

describe('faults of workflow files on the terminal', () => {
  it('are told once, anew where they are others, and once more when they are gone', () => {
    const tell = createFileFaultLines();
    const bad = { file: 'wf/a.ts', message: 'Error: boom\n  (line 1)' };
    expect(tell([bad])).toEqual(['■ wf/a.ts: Error: boom (line 1)']);
    expect(tell([bad])).toEqual([]);
    expect(
      tell([
        { ...bad, message: 'a circle' },
        { file: 'wf/b.ts', message: 'gone' },
      ]),
    ).toEqual(['■ wf/a.ts: a circle', '■ wf/b.ts: gone']);
    expect(tell([{ file: 'wf/b.ts', message: 'gone' }])).toEqual([
      '● wf/a.ts: nothing is wrong any more',
    ]);
    expect(tell([])).toEqual(['● wf/b.ts: nothing is wrong any more']);
    expect(tell([bad])).toHaveLength(1);
  });

  it('move no cursor and fill no screen', () => {
    const [line = ''] = createFileFaultLines()([
      { file: 'a\u001b[2J.ts', message: `\u001b[2J${'x'.repeat(5_000)}` },
    ]);
    expect(line).not.toContain('\u001b');
    expect(line.length).toBeLessThan(500);
  });
});
