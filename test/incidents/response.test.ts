import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RunbookMode } from '../../domain/runbook.ts';
import { startWorld, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world[Symbol.asyncDispose]());

const setMode = (mode: RunbookMode) => world.incidents.setRunbookMode('watched', mode, 'token:ann');
const reasons = async () => (await world.only()).timeline.map(({ reason }) => reason);
const execution = async () => world.incidents.execution((await world.only()).executions[0] ?? '');

describe('modes', () => {
  it('observe says once that it would apply, and plans nothing', async () => {
    await setMode('observe');
    world.lost.add('far');
    await world.rounds(5);
    expect(await reasons()).toEqual(['heartbeat-missed', 'mode-observe']);
    expect((await world.only()).executions).toEqual([]);
  });

  it('suggest stores the plan and leaves acting to people', async () => {
    await setMode('suggest');
    world.lost.add('far');
    await world.rounds(5);
    await world.flows();
    expect(await execution()).toMatchObject({
      status: 'planned',
      plan: { calls: [{ key: 'one' }] },
    });
    expect(world.made).toEqual([]);
  });

  it('approve acts once somebody other than the requester approved', async () => {
    await setMode('approve');
    world.lost.add('far');
    await world.rounds(3);
    const { id, status } = await execution();
    expect(status).toBe('awaiting-approval');
    await world.incidents.approve(id, 'token:ann');
    await world.flows();
    expect(world.made).toEqual(['one']);
    expect(await execution()).toMatchObject({ status: 'verifying', approvedBy: 'token:ann' });
    await expect(world.incidents.approve(id, 'token:ben')).rejects.toMatchObject({
      code: 'conflict',
    });
  });

  it('lets nobody approve what he asked for himself', async () => {
    await setMode('observe');
    world.lost.add('far');
    await world.rounds(2);
    await setMode('approve');
    const { id: incidentId } = await world.only();
    const asked = await world.incidents.execute('watched', { incidentId }, 'token:ann');
    expect(asked).toMatchObject({ status: 'awaiting-approval', requestedBy: 'token:ann' });
    await expect(world.incidents.approve(asked.id, 'token:ann')).rejects.toMatchObject({
      code: 'approver-is-requester',
    });
    await world.incidents.approve(asked.id, 'token:ben');
    await world.flows();
    expect(world.made).toEqual(['one']);
  });

  it('a rejected remedy is not tried again by itself', async () => {
    await setMode('approve');
    world.lost.add('far');
    await world.rounds(2);
    await world.incidents.reject((await execution()).id, 'token:ben', 'we are moving racks');
    await world.rounds(5);
    expect(await execution()).toMatchObject({ status: 'rejected' });
    expect(await world.only()).toMatchObject({ needsHuman: true });
    expect((await world.only()).executions).toHaveLength(1);
  });

  it('a plan by hand stores nothing and acts on nothing', async () => {
    await setMode('observe');
    world.lost.add('far');
    await world.rounds(2);
    const { id: incidentId } = await world.only();
    const plan = await world.incidents.plan('watched', { incidentId });
    expect(plan.calls.map(({ summary }) => summary)).toEqual(['call one']);
    expect((await world.only()).executions).toEqual([]);
  });
});

describe('what a person settles', () => {
  it('stops an action in its middle, and closes what was to be verified', async () => {
    world.script.calls = ['one', 'two'];
    const act = world.script.act;
    world.script.act = async (context) => {
      const step: typeof context.step = async (key, work) => {
        const result = await context.step(key, work);
        await world.incidents.resolve(context.incident.id, 'token:ann', 'mended by hand');
        return result;
      };
      await act({ ...context, step });
    };
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    expect(world.made).toEqual(['one']);
    expect(await execution()).toMatchObject({ status: 'skipped' });
  });

  it('closes an execution whose incident is resolved while it is verified or waits', async () => {
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    const { id } = await world.only();
    const { executions } = await world.incidents.resolve(id, 'token:ann', 'good enough');
    world.lost.clear();
    await world.rounds(1);
    expect(await world.incidents.execution(executions[0] ?? '')).toMatchObject({
      status: 'succeeded',
      verdict: 'unknown',
    });
  });

  it('needs parameters that the runbook knows', async () => {
    await world[Symbol.asyncDispose]();
    const properties = { limit: { type: 'integer', minimum: 1 } };
    const parameters = { type: 'object', properties, additionalProperties: false };
    world = await startWorld({ parameters, defaultMode: 'observe' });
    world.lost.add('far');
    await world.rounds(1);
    const { id: incidentId } = await world.only();
    const plan = (given: Record<string, unknown>) =>
      world.incidents.plan('watched', { incidentId, parameters: given });
    await expect(plan({ limit: 0 })).rejects.toMatchObject({
      code: 'invalid-parameters',
      errors: [{ path: '/parameters/limit' }],
    });
    await expect(plan({ limits: 1 })).rejects.toMatchObject({ code: 'invalid-parameters' });
    expect(await plan({ limit: 5 })).toMatchObject({ refusal: null });
  });
});
