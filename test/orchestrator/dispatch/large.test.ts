import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  ended,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
  workOff,
} from './stand.ts';

const ACTOR = { name: 'token:test' };
let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
});
afterAll(() => stand[Symbol.asyncDispose]());

describe('large graphs and stale statistics', () => {
  it('runs a fan-out of 10,000 and its fan-in', async () => {
    const { orchestrator } = stand;
    const leaves = Array.from({ length: 9_998 }, (_, index) => ({
      key: `leaf${index}`,
      after: ['root'],
    }));
    const tasks = [
      { key: 'root' },
      ...leaves,
      { key: 'join', after: leaves.map(({ key }) => key) },
    ];
    const agent = await registerAgent(orchestrator, {
      queues: ['wide'],
      definitions: [workflow('wide', tasks, { queue: 'wide' })],
    });
    const runId = await trigger(orchestrator, 'wide');
    const done = await workOff(agent);
    expect(done.length).toBe(10_000);
    expect(done.at(-1)).toBe('join');
    expect((await orchestrator.runs.get(runId)).state).toBe('succeeded');
    expect((await orchestrator.runs.tasks(runId)).length).toBe(10_000);
  });

  it('marks 10,000 tasks after a failed one, and runs them on retry', async () => {
    const { orchestrator } = stand;
    const [root] = await registerAgent(orchestrator, { queues: ['wide'] }).then(async (agent) => {
      await trigger(orchestrator, 'wide');
      const claimed = await agent.claim();
      await agent.complete(claimed.map((task) => ended(task, 'failed')));
      return claimed;
    });
    const tasks = await orchestrator.runs.tasks(root?.runId ?? '');
    expect(tasks.filter(({ state }) => state === 'upstream-failed').length).toBe(9_999);
    await orchestrator.runs.retry(root?.runId ?? '', ACTOR);
    const agent = await registerAgent(orchestrator, { queues: ['wide'] });
    expect((await workOff(agent)).length).toBe(10_000);
  });

  it('finds rows by index where statistics say that the tables are empty', async () => {
    const { orchestrator } = stand;
    await stand.sql(
      'VACUUM ANALYZE signalbox.task_live, signalbox.run_live, signalbox.run, signalbox.task_log',
    );
    const agent = await registerAgent(orchestrator, {
      queues: ['refilled'],
      definitions: [
        workflow('refilled', [{ key: 'a' }, { key: 'b', after: ['a'] }], { queue: 'refilled' }),
      ],
    });
    await stand.sql('ALTER TABLE signalbox.task_live SET (autovacuum_enabled = false)');
    await orchestrator.runs.triggerBatch(
      'refilled',
      Array.from({ length: 10_000 }, () => ({})),
      ACTOR,
    );
    const startedAt = performance.now();
    const done = await workOff(agent);
    expect(done.length).toBe(20_000);
    // A plan that scans would take minutes.
    expect(performance.now() - startedAt).toBeLessThan(25_000);
    const [scans] = await stand.sql<{ scans: number }>(
      `SELECT sum(seq_scan)::int AS scans FROM pg_stat_user_tables WHERE relname IN ('task_live', 'run_live') AND schemaname = 'signalbox'`,
    );
    expect(scans?.scans).toBeLessThan(100);
  });
});
