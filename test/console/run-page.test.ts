import { describe, expect, it } from 'vitest';
import { runAction } from '../../console/src/pages/run/actions.ts';
import { parseAnsi } from '../../console/src/pages/run/ansi.ts';
import { gridMarks, layoutGantt, orderTasks } from '../../console/src/pages/run/gantt.ts';
import type { Run, Task } from '../../domain/run.ts';

const START = Date.UTC(2026, 0, 1, 3);
const at = (second: number | null) =>
  second === null ? null : new Date(START + second * 1_000).toISOString();

function task(key: string, state: Task['state'], times: (number | null)[] = []): Task {
  const [queued = null, started = null, finished = null] = times;
  return {
    ...{ key, state, attempt: 1, dependsOn: [], agent: null, error: null, result: null },
    ...{ queuedAt: at(queued), startedAt: at(started), finishedAt: at(finished) },
  };
}

function run(state: Run['state'], of: Partial<Run> = {}): Run {
  return {
    ...{ id: 'r', workflow: 'w', engine: 'signalbox', state, parameters: {}, logicalDate: null },
    ...{ dataInterval: null, trigger: 'manual', priority: 0, idempotencyKey: null },
    ...{ businessKey: 'b', parentRunId: null, retryOf: null, traceId: null },
    ...{ createdAt: new Date(START).toISOString(), startedAt: null, finishedAt: null, error: null },
    ...of,
  };
}

describe('tasks on time', () => {
  it('shares the time from the creation to the end between waiting and work', () => {
    const finishedAt = at(10);
    const [bar] = layoutGantt(
      run('succeeded', { finishedAt }),
      [task('a', 'succeeded', [1, 2, 6])],
      0,
    ).bars;
    expect(bar).toMatchObject({ queued: 0.1, start: 0.2, end: 0.6, waitMs: 1_000, workMs: 4_000 });
  });

  it('lets a running task grow until now, and gives a pending one no bar', () => {
    const chart = layoutGantt(
      run('running'),
      [task('a', 'running', [0, 0]), task('b', 'pending')],
      START + 8_000,
    );
    expect(chart.bars[0]).toMatchObject({ end: 1, workMs: 8_000 });
    expect(chart.bars[1]).toMatchObject({ start: null, end: null, waitMs: null });
  });

  it('orders tasks by when their work began, those that wait last', () => {
    const tasks = [
      task('wait', 'pending'),
      task('b', 'running', [2, 3]),
      task('a', 'succeeded', [0, 1, 2]),
    ];
    expect(orderTasks(tasks).map(({ key }) => key)).toEqual(['a', 'b', 'wait']);
  });

  it('marks the scale at round steps', () => {
    expect(gridMarks(47_000, 6)).toEqual([0, 10_000, 20_000, 30_000, 40_000]);
    expect(gridMarks(900, 5)).toEqual([0, 200, 400, 600, 800]);
  });
});

describe('what can be done to a run', () => {
  it('says what cancelling stops and what it never starts', () => {
    const tasks = [task('a', 'running'), task('b', 'pending'), task('c', 'ready')];
    expect(runAction(run('running'), tasks)).toMatchObject({
      kind: 'cancel',
      label: 'Cancel: stop 1 task at work, never start 2 that wait',
    });
  });

  it('says what a retry runs again and what it keeps', () => {
    const tasks = [task('a', 'succeeded'), task('b', 'failed'), task('c', 'upstream-failed')];
    expect(runAction(run('failed'), tasks)?.label).toBe('Retry: run 2 tasks again, keep 1 done');
  });

  it('offers nothing for a run that succeeded or that another engine runs', () => {
    expect(runAction(run('succeeded'), [])).toBeNull();
    expect(runAction(run('running', { engine: 'airflow-eu' }), [])).toBeNull();
  });
});

describe('ANSI in log lines', () => {
  it('keeps colours and weight, and takes everything else out', () => {
    expect(parseAnsi('\u001b[1;31mbad\u001b[0m news\u001b[2K')).toEqual([
      { text: 'bad', tone: 'danger', bold: true },
      { text: ' news', tone: null, bold: false },
    ]);
  });

  it('leaves plain text alone', () => {
    expect(parseAnsi('a [31m b')).toEqual([{ text: 'a [31m b', tone: null, bold: false }]);
  });
});
