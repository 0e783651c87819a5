import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  chain,
  registerAgent,
  type Stand,
  startStand,
  trigger,
  workflow,
  workOff,
} from '../dispatch/stand.ts';

const ACTOR = { name: 'token:test' };
let stand: Stand;
beforeAll(async () => {
  stand = await startStand();
  await registerAgent(stand.orchestrator, {
    queues: ['nobody'],
    definitions: [
      workflow('plain', chain(1)),
      workflow('typed', chain(1), {
        parameters: {
          type: 'object',
          required: ['day'],
          additionalProperties: false,
          properties: {
            day: { type: 'string', format: 'date' },
            n: { type: 'integer', default: 5 },
            deep: { type: 'object', properties: { a: { type: 'number' } } },
          },
        },
      }),
      workflow('daily', chain(1), {
        schedule: { cron: '0 2 * * *', timezone: 'Europe/Berlin', catchup: false },
      }),
      workflow('two-at-once', chain(1), { maxActiveRuns: 2, queue: 'narrow' }),
      workflow('empty', []),
    ],
  });
});
afterAll(() => stand[Symbol.asyncDispose]());

describe('triggering', () => {
  it('takes runs with keys of their own for different work, but not on the same date', async () => {
    const keyOf = async (idempotencyKey: string | undefined, logicalDate?: string) => {
      const parameters = { order: 7 };
      const request = {
        parameters,
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        ...(logicalDate === undefined ? {} : { logicalDate }),
      };
      const { run } = await stand.orchestrator.runs.trigger('plain', request, ACTOR);
      return run.businessKey;
    };
    expect(await keyOf('first')).not.toBe(await keyOf('second'));
    expect(await keyOf(undefined)).toBe(await keyOf(undefined));
    const date = '2026-05-01T00:00:00Z';
    expect(await keyOf('third', date)).toBe(await keyOf('fourth', date));
  });

  it('makes a run with everything that it was given', async () => {
    const { run, created } = await stand.orchestrator.runs.trigger(
      'plain',
      {
        parameters: { a: [1, { b: 'ü\u0000"\\' }] },
        logicalDate: '2026-03-01T02:00:00+02:00',
        priority: 3,
        traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      },
      ACTOR,
    );
    expect(created).toBe(true);
    expect(run).toMatchObject({
      workflow: 'plain',
      engine: 'signalbox',
      state: 'queued',
      logicalDate: '2026-03-01T00:00:00.000Z',
      trigger: 'manual',
      priority: 3,
      traceId: '0af7651916cd43dd8448eb211c80319c',
    });
    const { parameters: given, ...rest } = run;
    const { parameters: stored, ...read } = await stand.orchestrator.runs.get(run.id);
    expect(read).toEqual(rest);
    expect(given).toEqual({ a: [1, { b: 'ü\u0000"\\' }] });
    expect(stored).toEqual({ a: [1, { b: 'ü\ufffd"\\' }] });
  });

  it('is for the interval of the schedule that begins at the logical date', async () => {
    const { runs } = stand.orchestrator;
    const logicalDate = '2026-03-28T01:00:00.000Z';
    const { run } = await runs.trigger('daily', { logicalDate }, ACTOR);
    // The clocks go forward that night.
    const dataInterval = { start: logicalDate, end: '2026-03-29T01:00:00.000Z' };
    expect(run).toMatchObject({ logicalDate, dataInterval });
    expect(await runs.get(run.id)).toMatchObject({ dataInterval });
    expect((await runs.trigger('daily', {}, ACTOR)).run.dataInterval).toBeNull();
    expect((await runs.trigger('plain', { logicalDate }, ACTOR)).run.dataInterval).toBeNull();
  });

  it('gives the first run back where the key was used, also in one batch and from two servers at once', async () => {
    const { orchestrator } = stand;
    const other = await stand.another();
    const request = { idempotencyKey: 'k1' };
    const [a, b, c] = await orchestrator.runs.triggerBatch('plain', [request, {}, request], ACTOR);
    expect([a?.created, b?.created, c?.created]).toEqual([true, true, false]);
    expect(c?.run.id).toBe(a?.run.id);
    expect(await orchestrator.runs.trigger('plain', request, ACTOR)).toMatchObject({
      created: false,
      run: { id: a?.run.id, state: 'queued' },
    });
    const keys = Array.from({ length: 50 }, (_, index) => ({ idempotencyKey: `race-${index}` }));
    const replies = await Promise.all([
      orchestrator.runs.triggerBatch('plain', keys, ACTOR),
      other.runs.triggerBatch('plain', [...keys].reverse(), ACTOR),
      ...keys.map((key) => other.runs.trigger('plain', key, ACTOR).then((reply) => [reply])),
    ]);
    const made = replies.flat();
    expect(made.filter(({ created }) => created).length).toBe(50);
    expect(new Set(made.map(({ run }) => run.id)).size).toBe(50);
  });

  it('refuses parameters that do not match, with the path of the fault, and applies defaults', async () => {
    const { runs } = stand.orchestrator;
    const ok = await runs.trigger('typed', { parameters: { day: '2026-01-01' } }, ACTOR);
    expect(ok.run.parameters).toEqual({ day: '2026-01-01', n: 5 });
    const fault = runs.trigger(
      'typed',
      { parameters: { day: 'x', n: 1.5, deep: { a: '1' }, more: 1 } },
      ACTOR,
    );
    await expect(fault).rejects.toMatchObject({
      code: 'invalid-parameters',
      errors: expect.arrayContaining([
        expect.objectContaining({ path: '/day' }),
        expect.objectContaining({ path: '/n' }),
        expect.objectContaining({ path: '/deep/a' }),
        expect.objectContaining({ path: '/more' }),
      ]),
    });
    await expect(runs.trigger('typed', {}, ACTOR)).rejects.toMatchObject({
      code: 'invalid-parameters',
      errors: [{ path: '/day' }],
    });
  });

  it('takes a batch whole or not at all, and says which of it is wrong', async () => {
    const { runs } = stand.orchestrator;
    const before = (await runs.list({ workflow: 'typed', limit: 1_000 })).items.length;
    const batch = [{ parameters: { day: '2026-01-01' } }, { parameters: { day: 7 as never } }];
    await expect(runs.triggerBatch('typed', batch, ACTOR)).rejects.toMatchObject({
      code: 'invalid-parameters',
      errors: [{ path: '/runs/1/parameters/day' }],
    });
    expect((await runs.list({ workflow: 'typed', limit: 1_000 })).items.length).toBe(before);
    const large = await runs.triggerBatch(
      'plain',
      Array.from({ length: 10_000 }, () => ({})),
      ACTOR,
    );
    expect(new Set(large.map(({ run }) => run.id)).size).toBe(10_000);
    await expect(
      runs.triggerBatch(
        'plain',
        Array.from({ length: 10_001 }, () => ({})),
        ACTOR,
      ),
    ).rejects.toMatchObject({ code: 'invalid-request' });
  });

  it.each([
    '1999-12-31T00:00:00Z',
    '2200-01-01T00:00:00Z',
    '2026-02-30',
    'now',
    '2026-13-01T00:00:00Z',
  ])('refuses %s as a logical date', async (logicalDate) => {
    await expect(
      stand.orchestrator.runs.trigger('plain', { logicalDate }, ACTOR),
    ).rejects.toMatchObject({ code: 'invalid-time' });
  });

  it('knows no other workflow, and does not let one bad trigger fail those beside it', async () => {
    const { runs } = stand.orchestrator;
    const replies = await Promise.allSettled([
      runs.trigger('plain', {}, ACTOR),
      runs.trigger('nothing', {}, ACTOR),
      runs.trigger('typed', {}, ACTOR),
      runs.trigger('plain', {}, ACTOR),
    ]);
    expect(replies.map(({ status }) => status)).toEqual([
      'fulfilled',
      'rejected',
      'rejected',
      'fulfilled',
    ]);
    expect(replies[1]).toMatchObject({ reason: { code: 'not-found' } });
  });

  it('ends a run without tasks at once', async () => {
    const id = await trigger(stand.orchestrator, 'empty');
    expect(await stand.orchestrator.runs.get(id)).toMatchObject({ state: 'succeeded' });
  });

  it('lets only so many runs of a workflow work at once, and the next begin when one has ended', async () => {
    const { orchestrator } = stand;
    const agent = await registerAgent(orchestrator, { queues: ['narrow'] });
    const made = await orchestrator.runs.triggerBatch(
      'two-at-once',
      Array.from({ length: 5 }, () => ({})),
      ACTOR,
    );
    expect(made.map(({ run }) => run.state)).toEqual([
      'queued',
      'queued',
      'scheduled',
      'scheduled',
      'scheduled',
    ]);
    const tasks = await agent.claim();
    expect(tasks.length).toBe(2);
    await agent.succeed(tasks[0] as (typeof tasks)[number]);
    const next = await agent.claim(10, 10_000);
    expect(next.map(({ runId }) => runId)).toEqual([made[2]?.run.id]);
    await orchestrator.runs.cancel(made[3]?.run.id ?? '', 'not needed', ACTOR);
    await agent.succeed(tasks[1] as (typeof tasks)[number]);
    const last = await agent.claim(10, 10_000);
    expect(last.map(({ runId }) => runId)).toEqual([made[4]?.run.id]);
    await workOff(agent);
  });
});
