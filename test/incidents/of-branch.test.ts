import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
