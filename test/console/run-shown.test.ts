/** What the page of a run makes of many items, of what is waited for, and of Markdown. */
import { describe, expect, it } from 'vitest';
import { foldItems, statesOf } from '../../console/src/pages/run/fold-items.ts';
import { waitsOf } from '../../console/src/pages/run/waits.ts';
import { markdownTree, safeHref } from '../../console/src/parts/markdown-tree.ts';
import type { Run, Task } from '../../domain/run.ts';

function task(key: string, of: Partial<Task> = {}): Task {
  return {
    ...{ key, state: 'ready', attempt: 1, dependsOn: [], agent: null, error: null, result: null },
    ...{ queuedAt: null, startedAt: null, finishedAt: null },
    ...of,
  };
}

const run = (of: Partial<Run> = {}): Run => ({
  ...{ id: 'r', workflow: 'w', engine: 'signalbox', state: 'running', parameters: {} },
  ...{ logicalDate: null, dataInterval: null, trigger: 'manual', priority: 0 },
  ...{ idempotencyKey: null, businessKey: 'b', parentRunId: null, retryOf: null, traceId: null },
  ...{ createdAt: '2026-01-01T00:00:00Z', startedAt: null, finishedAt: null, error: null },
  ...of,
});

const second = (at: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, at)).toISOString();
const items = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    task(`each[${index}]`, {
      ...{ mappedFrom: 'each', state: index === 0 ? 'failed' : 'succeeded' },
      ...{ startedAt: second(index), finishedAt: second(index + 5) },
    }),
  );

describe('items of a mapped task', () => {
  it('are one row with the time of all of them, and the chosen one beside', () => {
    const { tasks, items: found } = foldItems([task('each'), ...items(20)], 'each[3]');
    expect(tasks.map(({ key }) => key)).toEqual(['each', 'each[3]']);
    expect(tasks[0]).toMatchObject({ startedAt: second(0), finishedAt: second(24) });
    expect(found.get('each')).toHaveLength(20);
    expect(statesOf(found.get('each') ?? [])[0]).toEqual({ state: 'succeeded', count: 19 });
  });

  it('stand as rows of their own where they are few', () => {
    expect(foldItems([task('each'), ...items(3)], null).tasks).toHaveLength(4);
  });

  it('have no end while one of them goes on', () => {
    const open = task('each[9]', { mappedFrom: 'each', startedAt: second(9) });
    expect(foldItems([task('each'), ...items(3), open], null).tasks[0]?.finishedAt).toBeNull();
  });
});

describe('what a run waits for', () => {
  it('is told once for all tasks that wait for the same, since the first', () => {
    const wait = { reason: 'pool-full', name: 'dwh', message: 'the pool dwh is full' } as const;
    const waits = waitsOf(run(), [
      task('a', { waitsFor: { ...wait, since: second(9) } }),
      task('b', { waitsFor: { ...wait, since: second(2), runId: 'holder' } }),
      task('c'),
    ]);
    expect(waits).toEqual([
      {
        ...{ message: 'the pool dwh is full', tasks: ['a', 'b'], since: second(2), runId: null },
        place: { kind: 'pool', name: 'dwh' },
      },
    ]);
  });

  it('is also a pause, the run before, and room', () => {
    const words = (of: Partial<Run>) => waitsOf(run(of), []).map(({ message }) => message);
    expect(words({ pausedAt: second(1), pausedBy: 'jane' })[0]).toMatch(/paused by jane/);
    const past = { reason: 'depends-on-past', runId: 'before' } as const;
    expect(words({ state: 'scheduled', waitsFor: past })).toEqual([
      expect.stringMatching(/depends on past/),
    ]);
    expect(words({ state: 'scheduled' })[0]).toMatch(/waits for room/);
    expect(words({})).toEqual([]);
  });
});

describe('Markdown', () => {
  it('becomes headings, lists, tables and code', () => {
    const tree = markdownTree('# A **b**\n\n- x\n- y\n\n| c |\n|---|\n| 1 |\n\n```\nz\n```');
    expect(tree.map(({ kind }) => kind)).toEqual(['heading', 'list', 'table', 'code']);
    expect(tree[0]).toMatchObject({
      inlines: [
        { kind: 'text', text: 'A ' },
        { kind: 'marked', as: 'strong' },
      ],
    });
  });

  it('keeps HTML as the text that it is, and follows no link but to the web and mail', () => {
    const tree = JSON.stringify(
      markdownTree(
        '<script>x</script>\n\n[a](javascript:alert(1)) ![p](data:text/html,x) <b>b</b>',
      ),
    );
    expect(tree).not.toContain('"kind":"link"');
    expect(tree).toContain('<script>x</script>');
    expect(tree).toContain('<b>');
    expect(
      ['javascript:x', ' JAVASCRIPT:x', '/api/v1/x', '//evil', 'data:x'].map(safeHref),
    ).toEqual(Array(5).fill(null));
    expect(safeHref('https://example.com')).toBe('https://example.com');
  });

  it('is text where it nests beyond reason', () => {
    const tree = markdownTree(`${'>'.repeat(5_000)} deep`);
    expect(JSON.stringify(tree)).toContain('deep');
  });
});
