/** What callbacks of a branch are told: the names that its code knows, and of which environment it is. */
import { flow as defineFlow, webhook, workflow } from 'signalbox';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { CallbackEvent } from '../../../domain/callback.ts';
import { qualify } from '../../../domain/environment.ts';
import { toCloudEvent } from '../../../orchestrator/callbacks/cloud-event.ts';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { asset } from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type EnvironmentStand, startEnvironments } from './stand.ts';

const ADDRESS = 'https://hooks.example.com/x';

let stand: EnvironmentStand;
let told: { where: string; event: CallbackEvent }[] = [];

function codeOf(where: string): readonly Definition[] {
  const tell = (event: CallbackEvent) => void told.push({ where, event });
  const raw = asset('shop/raw', { onSuccess: tell }, () => 1);
  const clean = asset('shop/clean', { dependsOn: { raw }, onSuccess: tell }, () => 2);
  const fails = workflow('fails', { onFailure: [tell, webhook(ADDRESS)] }, (w) => {
    w.task('break', { onFailure: tell }, () => {
      throw new Error(`no ${qualify('pr-1', 'table')} there`);
    });
  });
  return [raw, clean, fails, defineFlow('quiet', {}, () => 1)];
}

/** Follows until so many were told. */
function calls(count: number) {
  return waitFor(
    async () => {
      await stand.base.stand.reconcile('callbacks');
      return told.length >= count && told;
    },
    { what: `${count} callbacks` },
  );
}

beforeAll(async () => {
  stand = await startEnvironments();
  await stand.agent(null, codeOf('production'));
  await stand.create('pr-1', { settings: { callbacks: true } });
  await stand.create('pr-2', { settings: { callbacks: true } });
  await stand.agent('pr-1', codeOf('pr-1'));
  await stand.agent('pr-2', codeOf('pr-2'));
});
afterAll(() => stand[Symbol.asyncDispose]());
beforeEach(() => {
  told = [];
});

describe('callbacks of a branch', () => {
  it('are told plain names with the environment in a field of its own, in code and at addresses', async () => {
    const run = await stand.run('pr-1', 'fails');
    const events = await calls(2);
    expect(JSON.stringify(events)).not.toContain('~pr-1~');
    expect(events.map(({ where, event }) => [where, event.environment, event.workflow])).toEqual([
      ['pr-1', 'pr-1', 'fails'],
      ['pr-1', 'pr-1', 'fails'],
    ]);
    const ofTask = events.find(({ event }) => event.task === 'break')?.event;
    expect(ofTask).toMatchObject({ runId: run.id, error: 'Error: no table there' });
    const [sent] = await stand.base.stand.sql<{ event: CallbackEvent }>(
      'SELECT event FROM signalbox.callback WHERE url IS NOT NULL',
    );
    if (!sent) throw new Error('no address was told');
    expect(toCloudEvent(sent.event)).toMatchObject({
      ...{ source: '/environments/pr-1/workflows/fails', type: 'dev.signalbox.run.failed' },
      ...{ subject: run.id, environment: 'pr-1' },
      data: { workflow: 'fails', environment: 'pr-1', runId: run.id },
    });
  });

  it('are those of its own definitions where one run makes several assets, and production’s are its own', async () => {
    const both = await stand.make('pr-1', 'shop/raw', { downstream: true });
    expect(both.workflow).toBe(qualify('pr-1', 'assets'));
    await calls(2);
    const base = await stand.make(null, 'shop/raw', { downstream: true });
    await calls(4);
    await stand.base.stand.reconcile('callbacks');
    const seen = told.map(({ where, event: { runId, workflow: of, environment, task } }) => [
      ...[where, environment, runId, of, task],
    ]);
    expect(seen.sort()).toEqual([
      ['pr-1', 'pr-1', both.id, 'shop/clean', 'shop/clean'],
      ['pr-1', 'pr-1', both.id, 'shop/raw', 'shop/raw'],
      ['production', undefined, base.id, 'shop/clean', 'shop/clean'],
      ['production', undefined, base.id, 'shop/raw', 'shop/raw'],
    ]);
  });
});
