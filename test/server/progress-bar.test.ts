import { describe, expect, it } from 'vitest';
import { progressBar } from '../../server/progress-bar.ts';

function terminal(isTTY: boolean) {
  const written: string[] = [];
  return { isTTY, columns: 60, written, write: (text: string) => written.push(text) };
}

describe('a progress bar', () => {
  it('stands in the last line of a terminal, and lines come above it', () => {
    const screen = terminal(true);
    const bar = progressBar(screen);
    bar.show(1, 3, 'duplicate-runs  12 s');
    bar.line('the line is cut');
    bar.clear();
    expect(screen.written).toEqual([
      '\r\u001b[K██████████░░░░░░░░░░░░░░░░░░░░ 1/3  duplicate-runs  12 s',
      '\r\u001b[K',
      'the line is cut\n',
      '██████████░░░░░░░░░░░░░░░░░░░░ 1/3  duplicate-runs  12 s',
      '\r\u001b[K',
    ]);
  });

  it('is never longer than the line of the terminal', () => {
    const screen = terminal(true);
    progressBar(screen).show(1, 1, 'x'.repeat(200));
    expect(screen.written[0]?.length).toBe('\r\u001b[K'.length + 59);
  });

  it('writes lines alone into a pipe, and where JSON is asked for', () => {
    for (const [screen, quiet] of [
      [terminal(false), false],
      [terminal(true), true],
    ] as const) {
      const bar = progressBar(screen, quiet);
      bar.show(1, 3, 'duplicate-runs');
      bar.line('the line is cut');
      bar.clear();
      expect(screen.written).toEqual(['the line is cut\n']);
    }
  });
});
