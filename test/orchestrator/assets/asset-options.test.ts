/** What an asset, an observation and a check of its own have of the options of a task. */
import { asset, check, observe } from 'signalbox';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CallbackEvent } from '../../../domain/callback.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'token:test' };
let stand: AgentStand;
let looks = 0;
let fails = false;
const told: { name: string; event: CallbackEvent }[] = [];
const tell = (name: string) => (event: CallbackEvent) => {
  told.push({ name, event });
};

const orders = asset(
  'opt/orders',
  {
    ...{ sla: '2h', deadline: { at: '06:00', timezone: 'Europe/Berlin' } },
    ...{ onSuccess: tell('made'), onFailure: tell('failed') },
  },
  () => {
    if (fails) throw new Error('no source');
    return 1;
  },
);
const sums = asset('opt/sums', { dependsOn: [orders], onSuccess: tell('sums') }, () => 2);
const source = observe(
  'opt/source',
  {
    ...{ retries: 5, retryDelay: 1, retryOn: ['Flaky'], noRetryOn: ['Gone'] },
    ...{ sla: '1h', onFailure: tell('not seen') },
  },
  () => {
    looks += 1;
    const error = new Error('not there');
    error.name = looks < 3 ? 'Flaky' : 'Gone';
    throw error;
  },
);
const alone = check('alone', { asset: orders, retries: 3, retryOn: ['Flaky'] }, () => true);

beforeAll(async () => {
  stand = await startAgentStand();
  await stand.start([orders, sums, source, alone]);
});
afterAll(() => stand[Symbol.asyncDispose]());

async function names(count: number): Promise<readonly string[]> {
  await waitFor(
    async () => {
      await stand.stand.reconcile('callbacks');
      return told.length >= count;
    },
    { what: `${count} callbacks` },
  );
  return told.map(({ name }) => name).sort();
}

describe('an asset has the options of a task', () => {
  it('declares its deadlines in the words of a task', () => {
    expect(orders.described.deadlines).toMatchObject([
      { name: 'sla', task: 'opt/orders', afterMs: 7_200_000 },
      { name: 'deadline', task: 'opt/orders', at: '06:00', timezone: 'Europe/Berlin' },
    ]);
    expect(source.described.deadlines).toMatchObject([{ name: 'sla', afterMs: 3_600_000 }]);
  });

  it('calls its callbacks, also where a run makes it together with others', async () => {
    told.length = 0;
    const { assets } = stand.stand.orchestrator;
    const own = await assets.materialize(['opt/orders'], {}, ACTOR);
    await stand.ended(own.id);
    expect(await names(1)).toEqual(['made']);
    const both = await assets.materialize(['opt/orders'], { downstream: true }, ACTOR);
    expect(await stand.ended(both.id)).toMatchObject({ workflow: 'assets', state: 'succeeded' });
    expect(await names(3)).toEqual(['made', 'made', 'sums']);
    expect(told.find(({ name }) => name === 'sums')?.event).toMatchObject({
      ...{ workflow: 'opt/sums', task: 'opt/sums', runId: both.id },
    });
    fails = true;
    const failed = await assets.materialize(['opt/orders'], { downstream: true }, ACTOR);
    await stand.ended(failed.id);
    fails = false;
    expect(await names(4)).toContain('failed');
  });

  it('an observation is tried again only for the errors that it names', async () => {
    told.length = 0;
    const { assets } = stand.stand.orchestrator;
    const { id } = await assets.materialize(['opt/source'], {}, ACTOR);
    expect((await stand.ended(id)).state).toBe('failed');
    expect(looks).toBe(3);
    expect(await names(1)).toEqual(['not seen']);
  });
});
