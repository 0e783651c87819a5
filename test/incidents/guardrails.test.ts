import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startWorld, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world[Symbol.asyncDispose]());

const reasons = async () => (await world.only()).timeline.map(({ reason }) => reason);
const execution = async () => world.incidents.execution((await world.only()).executions[0] ?? '');

describe('guardrails', () => {
  it('the kill switch stops what would act by itself, and lets it go on once it is off', async () => {
    await world.incidents.setKillSwitch(true, 'token:ann');
    world.lost.add('far');
    await world.rounds(3);
    expect(await reasons()).toContain('guardrail-kill-switch');
    expect(world.started.size).toBe(0);
    await world.incidents.setKillSwitch(false, 'token:ann');
    await world.rounds(4);
    await world.flows();
    expect(world.made).toEqual(['one']);
  });

  it('the kill switch stops an action between two calls', async () => {
    world.script.calls = ['one', 'two'];
    const act = world.script.act;
    world.script.act = async (context) => {
      const step: typeof context.step = async (key, work) => {
        const result = await context.step(key, work);
        await world.incidents.setKillSwitch(true, 'token:ann');
        return result;
      };
      await act({ ...context, step });
    };
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    expect(world.made).toEqual(['one']);
    expect(await execution()).toMatchObject({ status: 'failed' });
    expect(await world.only()).toMatchObject({ needsHuman: true });
  });

  it('keeps a pause between two responses to the same target', async () => {
    await world[Symbol.asyncDispose]();
    world = await startWorld({
      guardrails: { cooldownMs: 60_000, budgetPerHour: 100, maxCalls: 10, stopAfterFailures: 3 },
    });
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    world.lost.delete('far');
    await world.rounds(10);
    world.lost.add('far');
    await world.rounds(3);
    await world.flows();
    expect(world.made).toEqual(['one']);
    const [newest] = (await world.incidents.list({})).items;
    expect(newest?.timeline.at(-1)).toMatchObject({ reason: 'guardrail-cooldown' });
    await world.rounds(6, 10_000);
    await world.flows();
    expect(world.made).toEqual(['one', 'one']);
  });

  it('keeps to its budget over all targets', async () => {
    await world[Symbol.asyncDispose]();
    world = await startWorld({
      guardrails: { cooldownMs: 0, budgetPerHour: 1, maxCalls: 10, stopAfterFailures: 3 },
    });
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    world.lost.add('further');
    await world.rounds(2);
    await world.flows();
    expect(world.made).toEqual(['one']);
  });

  it('keeps to its budget when many incidents open at once', async () => {
    await world[Symbol.asyncDispose]();
    world = await startWorld({
      guardrails: { cooldownMs: 0, budgetPerHour: 2, maxCalls: 10, stopAfterFailures: 3 },
    });
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) world.lost.add(name);
    await world.rounds(2);
    await world.flows();
    await world.rounds(3);
    await world.flows();
    expect(world.made).toEqual(['one', 'one']);
  });

  it('refuses a plan with more calls than allowed and calls a person', async () => {
    world.script.calls = Array.from({ length: 11 }, (_, index) => `call-${index}`);
    world.lost.add('far');
    await world.rounds(2);
    expect(await world.only()).toMatchObject({ needsHuman: true, executions: [] });
    expect(await reasons()).toContain('guardrail-max-calls');
  });

  it('stops after failures in a row', async () => {
    world.script.act = async () => {
      throw new Error('the lever broke');
    };
    world.lost.add('far');
    for (let attempt = 0; attempt < 6; attempt++) {
      await world.rounds(7);
      await world.flows();
    }
    const incident = await world.only();
    expect(incident.executions).toHaveLength(3);
    expect(incident.needsHuman).toBe(true);
    expect(await reasons()).toContain('guardrail-stop-after-failures');
    expect(await execution()).toMatchObject({ status: 'undone', verdict: 'not-recovered' });
  });

  it('goes on with another trouble than the one that it cannot mend', async () => {
    const { act } = world.script;
    world.script.act = async () => {
      throw new Error('the lever broke');
    };
    world.lost.add('far');
    for (let attempt = 0; attempt < 6; attempt++) {
      await world.rounds(7);
      await world.flows();
    }
    expect(await reasons()).toContain('guardrail-stop-after-failures');
    world.script.act = act;
    world.lost.add('further');
    await world.rounds(3);
    await world.flows();
    expect(world.made).toContain('one');
  });

  it('stores the state of all guardrails with the decision', async () => {
    world.lost.add('far');
    await world.rounds(2);
    const { guardrails } = await execution();
    expect(guardrails.map(({ name, allows }) => [name, allows])).toEqual([
      ['kill-switch', true],
      ['cooldown', true],
      ['budget', true],
      ['max-calls', true],
      ['stop-after-failures', true],
      ['responses-to-one-incident', true],
    ]);
  });
});

describe('a remedy that is refused', () => {
  it('is told once with its reason, tried again, and calls a person in the end', async () => {
    world.script.refusal = 'no-room-in-the-budget';
    world.lost.add('far');
    await world.rounds(10);
    const told = (await reasons()).filter((reason) => reason === 'no-room-in-the-budget');
    expect(told).toHaveLength(1);
    expect(await world.only()).toMatchObject({ needsHuman: false });
    await world.rounds(5, 10_000);
    expect(await world.only()).toMatchObject({ needsHuman: true });
  });
});
