import { workflow as define, flow } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Deadline } from '../../../domain/deadline.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';
import { trigger } from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };

let release: () => void = () => undefined;
let held: Promise<void> = Promise.resolve();

const soon = { after: '150ms', from: 'queued' } as const;
const hog = flow('hog', { pool: 'etl' }, () => held);
const pooled = define('pooled', { deadline: soon }, (w) => {
  w.task('load', { pool: 'etl' }, () => 1);
});
const slow = define('slow', { deadline: soon, maxActiveRuns: 1 }, (w) => {
  const first = w.task('first', {}, () => held);
  w.task('second', { after: [first], deadline: { after: '150ms' } }, () => 2);
});
const quick = define('quick', { sla: '1s' }, (w) => {
  w.task('only', { sla: '1s' }, () => 1);
});
const limited = flow('limited', { maxRuntime: '150ms' }, async (ctx) => {
  await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }));
  ctx.signal.throwIfAborted();
});
const strict = define('strict', {}, (w) => {
  w.task('late', { deadline: { after: '150ms', from: 'started', onMiss: 'fail' } }, () => held);
  w.task('other', {}, () => held);
});
const all = [hog, pooled, slow, quick, limited, strict];

let agents: AgentStand;
let orchestrator: Orchestrator;

beforeEach(async () => {
  held = new Promise((resolve) => {
    release = resolve;
  });
  agents = await startAgentStand({ leaseMs: 5_000 });
  orchestrator = agents.stand.orchestrator;
  await agents.start(all);
});

afterEach(async () => {
  release();
  await agents[Symbol.asyncDispose]();
});

/** Looks at deadlines until so many were missed of the run. */
function missesOf(runId: string, count = 1): Promise<readonly Deadline[]> {
  return waitFor(
    async () => {
      await agents.stand.reconcile('deadlines');
      const found = await orchestrator.deadlines.ofRun(runId);
      const missed = found.filter(({ state }) => state === 'missed');
      return missed.length >= count && missed;
    },
    { what: `${count} missed deadlines of ${runId}` },
  );
}

const stateOf = async (runId: string) => (await orchestrator.runs.get(runId)).state;

/** Events of missed deadlines that were told. */
async function eventsTold(): Promise<{ runId: string; taskKey: string; error: string }[]> {
  const { runEvents } = await orchestrator.events.readAfter(null, 100_000);
  return runEvents.filter(({ state }) => state === 'sla-missed');
}

describe('a deadline is missed', () => {
  it('by a run whose task waits for a slot of a pool, which is named, with an event', async () => {
    await orchestrator.pools.set('etl', { max: 1 }, ACTOR);
    const holder = await trigger(orchestrator, 'hog');
    await waitFor(async () => (await stateOf(holder)) === 'running');
    const runId = await trigger(orchestrator, 'pooled');
    const [miss] = await missesOf(runId);
    expect(miss).toMatchObject({
      ...{ workflow: 'pooled', runId, taskKey: null, name: 'deadline' },
      missed: { reason: 'pool', endedAt: null },
    });
    expect(miss?.missed?.blockers[0]).toEqual({
      ...{ kind: 'pool', name: 'etl' },
      detail: 'load is ready, and the pool etl is full: 1 of 1 slots are in use, and it needs 1',
    });
    expect(miss?.missed?.detail).toContain('waits for slots of a pool: etl');
    // Transactions of other tests on the same cluster may hold the newest events back.
    const event = await waitFor(async () => (await eventsTold())[0]);
    expect(event).toMatchObject({ runId, taskKey: '', state: 'sla-missed', workflow: 'pooled' });
    expect(event.error).toMatch(/^pool: /);
  });

  it('by a run that is paused, and by who paused it', async () => {
    const runId = await trigger(orchestrator, 'slow');
    await orchestrator.runControl.pause(runId, {}, ACTOR);
    const [miss] = await missesOf(runId);
    expect(miss?.missed?.reason).toBe('paused');
    expect(miss?.missed?.blockers[0]).toMatchObject({ kind: 'run', name: runId });
    expect(miss?.missed?.blockers[0]?.detail).toContain('by token:test');
  });

  it('by a run that waits for the room of its workflow, which another run has', async () => {
    const first = await trigger(orchestrator, 'slow');
    const second = await trigger(orchestrator, 'slow');
    const misses = await missesOf(second);
    expect(misses[0]?.missed?.reason).toBe('max-active-runs');
    expect(misses[0]?.missed?.blockers[0]).toMatchObject({ kind: 'run', name: first });
  });

  it('by a task that waits for the one before it; when they end, the misses tell when', async () => {
    const runId = await trigger(orchestrator, 'slow');
    const late = await missesOf(runId, 2);
    expect(late.find(({ taskKey }) => taskKey === null)?.missed?.reason).toBe('running');
    const ofTask = late.find(({ taskKey }) => taskKey === 'second')?.missed;
    expect(ofTask?.reason).toBe('upstream');
    expect(ofTask?.blockers).toContainEqual({
      ...{ kind: 'task', name: 'first' },
      detail: 'second waits for it, and it is running',
    });
    release();
    const run = await agents.ended(runId);
    await agents.stand.reconcile('deadline-ends');
    const ended = await missesOf(runId, 2);
    const miss = ended.find(({ taskKey }) => taskKey === null);
    expect(miss?.missed).toMatchObject({ endedAt: run.finishedAt, endState: 'succeeded' });
    expect((await orchestrator.deadlines.list({ missed: 'open' })).items).toEqual([]);
  });

  it('by nothing that ended in time, and nothing of it stays behind', async () => {
    const run = await agents.run('quick');
    await waitFor(async () => {
      await agents.stand.reconcile('deadlines');
      return (await agents.stand.sql('SELECT FROM signalbox.deadline')).length === 0;
    });
    expect(await orchestrator.deadlines.ofRun(run.id)).toEqual([]);
    expect(await eventsTold()).toEqual([]);
  });

  it('by a run beyond its longest time, which is cancelled and says why', async () => {
    const runId = await trigger(orchestrator, 'limited');
    await missesOf(runId);
    const run = await agents.ended(runId);
    expect(run.state).toBe('cancelled');
    expect(run.error?.message).toContain('max-runtime: 150ms after it started');
    const [miss] = await missesOf(runId);
    expect(miss?.missed?.actedAt).not.toBeNull();
    expect(miss?.missed?.actionError).toBeNull();
  });

  it('by a task that is failed for it, while the others go on', async () => {
    const runId = await trigger(orchestrator, 'strict');
    const [miss] = await missesOf(runId);
    expect(miss).toMatchObject({ taskKey: 'late', onMiss: 'fail', missed: { reason: 'running' } });
    const tasks = await orchestrator.runs.tasks(runId);
    expect(tasks.map(({ key, state }) => [key, state])).toEqual([
      ['late', 'failed'],
      ['other', 'running'],
    ]);
    release();
    expect((await agents.ended(runId)).state).toBe('failed');
  });
});

describe('a missed deadline is recorded once', () => {
  it('by two servers that look at the same moment', async () => {
    const second = await agents.stand.another();
    const steps = [orchestrator, second].flatMap(({ reconcilers }) =>
      reconcilers.filter(({ name }) => name === 'deadlines'),
    );
    await orchestrator.pools.set('etl', { max: 0 }, ACTOR);
    const replies = await orchestrator.runs.triggerBatch(
      'pooled',
      Array.from({ length: 250 }, () => ({})),
      ACTOR,
    );
    await waitFor(async () => {
      await Promise.all([...steps, ...steps].map((step) => step.run()));
      const rows = await agents.stand.sql('SELECT FROM signalbox.deadline');
      return rows.length === 0;
    });
    const late = (await orchestrator.deadlines.list({ limit: 1_000 })).items;
    const all = replies.map(({ run }) => run.id).sort();
    expect(late.map(({ runId }) => runId).sort()).toEqual(all);
    expect((await eventsTold()).map(({ runId }) => runId).sort()).toEqual(all);
  });

  it('by the next server, where one died in the middle of recording it', async () => {
    const runId = await trigger(orchestrator, 'slow');
    await waitFor(async () => {
      const rows = await agents.stand.sql(
        'SELECT FROM signalbox.deadline WHERE run_id = $1 AND due_at <= now()',
        [runId],
      );
      return rows.length === 2;
    });
    // A transaction that holds the rows, and whose connection is gone before it commits.
    const pid = agents.stand.sql<{ pg_sleep: string }>(
      `WITH gone AS (DELETE FROM signalbox.deadline RETURNING 1),
            late AS (INSERT INTO signalbox.deadline_miss
              (key, workflow, name, due_at, noticed_at, reason, detail, on_miss)
              SELECT 'half', 'slow', 'deadline', now(), now(), 'running', '', 'record' RETURNING 1)
       SELECT pg_sleep(60)
       FROM (SELECT count(*) FROM gone) AS g, (SELECT count(*) FROM late) AS l`,
    );
    const dying = pid.catch((error: Error) => error.message);
    const backend = await waitFor(async () => {
      const [row] = await agents.stand.sql<{ pid: number }>(
        `SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()`,
      );
      return row?.pid;
    });
    await agents.stand.reconcile('deadlines');
    expect((await orchestrator.deadlines.list({})).items).toEqual([]);
    await agents.stand.sql('SELECT pg_terminate_backend($1)', [backend]);
    expect(await dying).toMatch(/terminat|closed|connection/i);
    const misses = await missesOf(runId, 2);
    expect(misses).toHaveLength(2);
    expect(new Set(misses.map(({ taskKey }) => taskKey))).toEqual(new Set([null, 'second']));
    // Transactions of other tests on the same cluster may hold the newest events back.
    await waitFor(async () => (await eventsTold()).length === 2);
  });
});
