import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { workflow as define, flow, NoRetryError, webhook } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CallbackEvent, CallbackRecord } from '../../../domain/callback.ts';
import { loadWorkflows } from '../../../orchestrator/define/load.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { makeTempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';
import { trigger } from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };

let told: { name: string; event: CallbackEvent }[] = [];
let hangs: Promise<void> | null = null;
const tell = (name: string) => (event: CallbackEvent) => {
  told.push({ name, event });
};

const load = define(
  'load',
  { onSuccess: tell('run ok'), onFailure: [tell('run failed'), tell('run failed too')] },
  (w) => {
    w.task(
      'fetch',
      {
        ...{ retries: 1, retryDelay: 1 },
        ...{ onRetry: tell('retry'), onSuccess: tell('ok'), onFailure: tell('failed') },
      },
      (ctx) => {
        const { failures = 0 } = ctx.parameters as { failures?: number };
        if (ctx.attempt <= failures) throw new Error(`attempt ${ctx.attempt} fails`);
      },
    );
    w.map('each', { over: () => [1, 2], onSuccess: tell('item') }, (_ctx, item) => item);
  },
);
const broken = flow(
  'broken',
  {
    onSuccess: (_event, ctx) => {
      ctx.log.info('about to fail');
      throw new NoRetryError('the pager is down');
    },
  },
  () => 'fine',
);
const patient = flow(
  'patient',
  {
    onSuccess: async (event) => {
      told.push({ name: 'patient', event });
      await hangs;
    },
  },
  () => 1,
);
const late = flow(
  'late',
  {
    deadline: { after: '100ms', from: 'queued' },
    onDeadline: tell('late'),
    onCancelled: tell('cancelled'),
  },
  async (ctx) => {
    await new Promise((resolve) => ctx.signal.addEventListener('abort', resolve, { once: true }));
    ctx.signal.throwIfAborted();
  },
);
const plain = flow('plain', {}, () => 1);
const all = [load, broken, patient, late];

let agents: AgentStand;
let orchestrator: Orchestrator;

beforeEach(async () => {
  told = [];
  hangs = null;
  agents = await startAgentStand({ leaseMs: 2_000 });
  orchestrator = agents.stand.orchestrator;
});

afterEach(() => agents[Symbol.asyncDispose]());

/** Follows until so many callbacks of the run are over. */
function callbacksOf(runId: string, count: number): Promise<readonly CallbackRecord[]> {
  return waitFor(
    async () => {
      await agents.stand.reconcile('callbacks');
      const found = await orchestrator.callbacks.ofRun(runId);
      return found.filter(({ endedAt }) => endedAt !== null).length >= count && found;
    },
    { what: `${count} callbacks of ${runId}` },
  );
}

const names = () => told.map(({ name }) => name).sort();

describe('callbacks', () => {
  it('are told of the end of a run and of each of its tasks, once, with a key', async () => {
    await agents.start(all);
    const run = await agents.run('load', {});
    const records = await callbacksOf(run.id, 4);
    await agents.stand.reconcile('callbacks');
    expect(names()).toEqual(['item', 'item', 'ok', 'run ok']);
    expect(records.every(({ state }) => state === 'succeeded')).toBe(true);
    expect(new Set(told.map(({ event }) => event.key)).size).toBe(4);
    const ofRun = told.find(({ name }) => name === 'run ok')?.event;
    expect(ofRun).toMatchObject({
      ...{ runId: run.id, workflow: 'load', task: null, outcome: 'succeeded' },
      ...{ callback: 'onSuccess', error: null, parameters: {} },
    });
    const items = told.filter(({ name }) => name === 'item').map(({ event }) => event.task);
    expect(items.sort()).toEqual(['each[0]', 'each[1]']);
  });

  it('tell an attempt that is tried again from the failure of the task and its run', async () => {
    await agents.start(all);
    const mended = await agents.run('load', { failures: 1 });
    await callbacksOf(mended.id, 5);
    expect(names()).toEqual(['item', 'item', 'ok', 'retry', 'run ok']);
    expect(told.find(({ name }) => name === 'retry')?.event).toMatchObject({
      ...{ task: 'fetch', attempt: 1, error: 'Error: attempt 1 fails' },
    });
    told = [];
    const failed = await agents.run('load', { failures: 2 });
    await callbacksOf(failed.id, 6);
    expect(names()).toEqual(['failed', 'item', 'item', 'retry', 'run failed', 'run failed too']);
  });

  it('leave the run as it was when they fail, with the failure and the log to be seen', async () => {
    await agents.start(all);
    const run = await agents.run('broken');
    const [record] = await callbacksOf(run.id, 1);
    expect(record).toMatchObject({
      ...{ state: 'failed', attempts: 1, kind: 'code', outcome: 'succeeded' },
      error: expect.stringContaining('the pager is down'),
    });
    expect((await orchestrator.runs.get(run.id)).state).toBe('succeeded');
    const line = await waitFor(() =>
      agents.lines.find(({ message }) => message === 'about to fail'),
    );
    expect(line).toMatchObject({ runId: record?.callbackRunId });
  });

  it('come again, under the same key, when their agent dies in the middle', async () => {
    let release: () => void = () => undefined;
    hangs = new Promise((resolve) => {
      release = resolve;
    });
    const first = await agents.start(all, { name: 'first' });
    const run = await agents.run('patient');
    await waitFor(async () => {
      await agents.stand.reconcile('callbacks');
      return told.length === 1;
    });
    hangs = null;
    await orchestrator.agents.died(first.sessionId() ?? '', { reason: 'killed' });
    await agents.start(all, { name: 'second' });
    const [record] = await callbacksOf(run.id, 1);
    release();
    expect(record?.state).toBe('succeeded');
    expect(told.length).toBeGreaterThanOrEqual(2);
    expect(new Set(told.map(({ event }) => event.key)).size).toBe(1);
    expect((await orchestrator.runs.get(run.id)).state).toBe('succeeded');
  });

  it('are called for once by two servers, and by another where one has died', async () => {
    await agents.start(all);
    const second = await agents.stand.another();
    const steps = [orchestrator, second].flatMap(({ reconcilers }) =>
      reconcilers.filter(({ name }) => name === 'callbacks'),
    );
    const replies = await orchestrator.runs.triggerBatch(
      'patient',
      Array.from({ length: 40 }, () => ({})),
      ACTOR,
    );
    await waitFor(async () => {
      await Promise.all([...steps, ...steps].map((step) => step.run()));
      return told.length >= 40;
    });
    await Promise.all(steps.map((step) => step.run()));
    expect(told.map(({ event }) => event.runId).sort()).toEqual(
      replies.map(({ run }) => run.id).sort(),
    );
  });

  it('are told of a missed deadline, and of a run that is cancelled', async () => {
    await agents.start(all);
    const runId = await trigger(orchestrator, 'late');
    await waitFor(async () => {
      await agents.stand.reconcile('deadlines');
      return (await orchestrator.deadlines.list({})).items.length === 1;
    });
    await callbacksOf(runId, 1);
    expect(told[0]).toMatchObject({ name: 'late', event: { runId, outcome: 'deadline' } });
    expect(told[0]?.event.error).toMatch(/^running: late had to end by/);
    await orchestrator.runs.cancel(runId, 'enough', ACTOR);
    await callbacksOf(runId, 2);
    expect(names()).toEqual(['cancelled', 'late']);
  });

  it('cost workflows without them nothing: nobody follows, and nothing is stored', async () => {
    await agents.start([plain]);
    await agents.run('plain');
    await agents.stand.reconcile('callbacks');
    const followers = await agents.stand.sql(
      `SELECT FROM signalbox.follower WHERE name = 'callbacks'`,
    );
    expect(followers).toEqual([]);
    expect(await agents.stand.sql('SELECT FROM signalbox.callback')).toEqual([]);
  });

  it('run as workflows that lists do not show', async () => {
    await agents.start(all);
    const { items } = await orchestrator.workflows.list({});
    expect(items.map(({ name }) => name)).toEqual(['broken', 'late', 'load', 'patient']);
  });
});

describe('a workflow file with callbacks and deadlines', () => {
  it('is listed with what it declares, and with the workflow that runs the code', async () => {
    await using folder = await makeTempDir();
    await writeFile(
      join(folder.path, 'nightly.ts'),
      `import { webhook, workflow } from 'signalbox';
       export const nightly = workflow('nightly', {
         schedule: '0 2 * * *', timezone: 'Europe/Berlin', sla: '2h', maxRuntime: '3h',
         deadline: { at: '06:00', onMiss: 'cancel' },
         onFailure: [() => undefined, webhook('https://hooks.example.com/x')],
       }, (w) => {
         w.task('load', { deadline: { after: '30m', from: 'started' }, onRetry: () => 1 }, () => 1);
       });`,
    );
    const { definitions, errors } = await loadWorkflows([folder.path]);
    expect(errors).toEqual([]);
    expect(definitions.map(({ name, callbacksOf: of }) => [name, of])).toEqual([
      ['nightly', undefined],
      ['nightly:callbacks', 'nightly'],
    ]);
    expect(definitions[0]?.deadlines).toEqual([
      { name: 'sla', afterMs: 7_200_000, from: 'scheduled', onMiss: 'record' },
      { name: 'deadline', at: '06:00', onMiss: 'cancel', timezone: 'Europe/Berlin' },
      { name: 'max-runtime', afterMs: 10_800_000, from: 'started', onMiss: 'cancel' },
      { name: 'deadline', task: 'load', afterMs: 1_800_000, from: 'started', onMiss: 'record' },
    ]);
    expect(definitions[0]?.callbacks).toEqual([
      { name: 'onFailure', on: 'failed' },
      { name: 'onFailure-2', on: 'failed', url: 'https://hooks.example.com/x' },
      { name: 'load.onRetry', on: 'retry', task: 'load' },
    ]);
  });

  it('is told what is wrong with a deadline or a callback, and where', () => {
    const wrong = (options: object) => () => flow('wrong', options, () => 1);
    expect(wrong({ sla: 'soon' })).toThrow(/flow "wrong": sla: /);
    expect(wrong({ deadline: { at: '25:00' } })).toThrow(/deadline: at: must be a time of the day/);
    expect(wrong({ deadline: { after: '1h', from: 'end' } })).toThrow(/from: must be "scheduled"/);
    expect(wrong({ onFailure: 'https://x' })).toThrow(/onFailure: must be a function, webhook/);
    expect(() => webhook('ftp://x')).toThrow(/http/);
  });
});
