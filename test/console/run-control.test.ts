import { describe, expect, it } from 'vitest';
import {
  effectSummary,
  proposalsForRun,
  proposalsForTask,
} from '../../console/src/pages/run/proposals.ts';
import type { Run, Task } from '../../domain/run.ts';
import type { Effect } from '../../domain/run-control.ts';

const AT = '2026-01-01T03:00:00.000Z';

function run(state: Run['state'], of: Partial<Run> = {}): Run {
  return {
    ...{ id: 'r', workflow: 'w', engine: 'signalbox', state, parameters: {}, logicalDate: null },
    ...{ dataInterval: null, trigger: 'manual', priority: 0, idempotencyKey: null },
    ...{ businessKey: 'b', parentRunId: null, retryOf: null, traceId: null },
    ...{ createdAt: AT, startedAt: null, finishedAt: null, error: null },
    ...of,
  };
}

function task(state: Task['state']): Task {
  return {
    ...{ key: 'load', state, attempt: 1, dependsOn: [], agent: null, error: null, result: null },
    ...{ queuedAt: AT, startedAt: null, finishedAt: null },
  };
}

const titles = (list: readonly { title: string }[]) => list.map(({ title }) => title);

describe('what the console proposes for a run', () => {
  it('is to pause one that goes on, to resume one that is paused, and to end either', () => {
    expect(titles(proposalsForRun(run('running'), 'Cancel: stop 1 task at work'))).toEqual([
      ...['Pause the run', 'Cancel: stop 1 task at work'],
      ...['Mark the run as succeeded', 'Mark the run as failed'],
    ]);
    expect(titles(proposalsForRun(run('running', { pausedAt: AT }), null))[0]).toBe(
      'Resume the run',
    );
  });

  it('is to retry one that failed, and to run everything again', () => {
    expect(titles(proposalsForRun(run('failed'), 'Retry: run 2 tasks again'))).toEqual([
      ...['Retry: run 2 tasks again', 'Run everything again', 'Mark the run as succeeded'],
    ]);
  });

  it('is nothing for a run of another engine', () => {
    expect(proposalsForRun(run('running', { engine: 'airflow-eu' }), null)).toEqual([]);
    expect(proposalsForTask(run('failed', { engine: 'dbt' }), task('failed'), false)).toEqual([]);
  });
});

describe('what the console proposes for a task', () => {
  it('is to run it again with what follows, and to stop what runs only where that is chosen', () => {
    const [clear] = proposalsForTask(run('running'), task('running'), false);
    expect(clear?.choices).toMatchObject([
      { name: 'downstream', on: true },
      { name: 'upstream', on: false },
      { name: 'force', on: false },
    ]);
    expect(clear?.body).toEqual({ tasks: ['load'] });
  });

  it('is only to retry from it, where it is a recorded step of a flow', () => {
    expect(titles(proposalsForTask(run('failed'), task('succeeded'), true))).toEqual([
      'Retry from load',
    ]);
    expect(proposalsForTask(run('running'), task('succeeded'), true)).toEqual([]);
  });
});

describe('an effect in one line', () => {
  const effect = (counts: Partial<Effect['counts']>, from: Run['state'], to: Run['state']) =>
    effectSummary({
      ...{ action: 'clear', dryRun: true, refused: [], nextCursor: null },
      runs: [
        { runId: 'r', workflow: 'w', logicalDate: null, from, to, tasks: [], stepsForgotten: [] },
      ],
      downstream: { tasks: [], childRuns: [], assets: [] },
      counts: {
        ...{ runs: 1, tasks: 0, rerun: 0, stopped: 0, stepsForgotten: 0 },
        ...{ downstreamTasks: 0, childRuns: 0, assets: 0, refused: 0 },
        ...counts,
      },
    });

  it('tells what runs again, what is stopped and what becomes of the run', () => {
    expect(effect({ rerun: 2, stopped: 1 }, 'failed', 'queued')).toBe(
      '2 tasks run again, 1 attempt stopped, the run goes from failed to queued.',
    );
    expect(effect({ runs: 0 }, 'failed', 'failed')).toBe('Nothing would change.');
  });
});
