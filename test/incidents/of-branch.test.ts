import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { branchOf } from '../../incidents/of-branch.ts';
import { startWorld, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world[Symbol.asyncDispose]());

describe('An agent of a branch that is lost', () => {
  it('is an incident of severity info, on which nothing acts and for which nobody is called', async () => {
    await world.incidents.setRunbookMode('watched', 'auto', 'token:ann');
    world.lost.add('~pr-1~far');
    await world.rounds(5);
    await world.flows();
    const { items } = await world.incidents.list({ environment: 'pr-1' });
    expect(items).toMatchObject([
      { severity: 'info', environment: 'pr-1', needsHuman: false, executions: [] },
    ]);
    const skipped = items[0]?.timeline.find(({ reason }) => reason === 'guardrail-environment');
    expect(skipped?.detail).toMatchObject({
      environment: 'pr-1',
      guardrails: [{ name: 'environment', allows: false }],
    });
    expect(world.made).toEqual([]);
    expect((await world.incidents.list({})).items).toEqual([]);
    expect((await world.incidents.list({ environment: 'pr-2' })).items).toEqual([]);
    expect((await world.incidents.list({ environment: '*' })).items).toHaveLength(1);
  });

  it('is told from production’s whose names hold what looks like an environment further on', async () => {
    const names = ['far:~pr-1~away', 'pool:~pr-1~x', 'x~pr-1~'];
    for (const name of [...names, '~pr-1~far', '~pr-2~a:~pr-1~b']) world.lost.add(name);
    await world.rounds(3);
    const titlesOf = async (environment?: string) => {
      const query = environment === undefined ? {} : { environment };
      const { items } = await world.incidents.list(query);
      return items.map(({ title }) => title).sort();
    };
    expect(await titlesOf()).toHaveLength(names.length);
    expect(await titlesOf('pr-1')).toHaveLength(1);
    expect(await titlesOf('pr-2')).toHaveLength(1);
    await world.incidents.forget('pr-1');
    expect(await titlesOf('*')).toHaveLength(names.length + 1);
    const { items } = await world.incidents.list({});
    expect(items.map(({ severity }) => severity)).not.toContain('info');
  });

  it('leaves production’s incidents what they are, and goes with its environment', async () => {
    world.lost.add('~pr-1~far');
    world.lost.add('far');
    await world.rounds(3);
    await world.incidents.forget('pr-1');
    const { items } = await world.incidents.list({ environment: '*' });
    expect(items).toHaveLength(1);
    expect(items[0]?.environment).toBeUndefined();
    expect(items[0]?.severity).not.toBe('info');
  });
});

describe('The environment of a finding', () => {
  it.each([
    ['stale-asset:~pr-1~shop/raw', 'pr-1'],
    ['duplicate-runs:signalbox:~pr-1~daily', 'pr-1'],
    ['pool-exhaustion:pool:~pr-1~etl', 'pr-1'],
    ['stale-asset:shop:~pr-1~raw/x', null],
    ['stale-asset:pool:~pr-1~raw/x', null],
    ['duplicate-runs:openlineage:~pr-1~ns:job', null],
    ['duplicate-runs:signalbox:a:~pr-1~b', null],
    ['pool-exhaustion:server:~pr-1~host', null],
    ['agent-lost', null],
  ])('of %s is %s', (fingerprint, environment) => {
    expect(branchOf({ fingerprint })).toBe(environment);
  });
});
