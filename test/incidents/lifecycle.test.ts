import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startWorld, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world[Symbol.asyncDispose]());

const types = async () => (await world.only()).timeline.map(({ type }) => type);

describe('the life of an incident', () => {
  it('is opened once, answered, seen to recover, verified after a hold, and resolved', async () => {
    world.lost.add('far');
    await world.rounds(3);
    await world.flows();
    expect(await world.only()).toMatchObject({ status: 'mitigating', kind: 'agent-lost' });
    world.lost.delete('far');
    await world.rounds(3);
    expect(await world.only()).toMatchObject({ status: 'mitigated', resolvedAt: null });
    await world.rounds(6);
    const incident = await world.only();
    expect(incident).toMatchObject({ status: 'resolved', needsHuman: false });
    expect(incident.timeline.map(({ type }) => type)).toEqual([
      'opened',
      'planned',
      'acting',
      'acted',
      'acted',
      'recovery-seen',
      'verified',
    ]);
    expect(world.made).toEqual(['one']);
    const execution = await world.incidents.execution(incident.executions[0] ?? '');
    expect(execution).toMatchObject({ status: 'succeeded', verdict: 'recovered' });
    expect(incident.evidence[0]?.query).toContain('signalbox.heartbeats');
  });

  it('opens anew, as another incident, when the trouble comes back later', async () => {
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    world.lost.delete('far');
    await world.rounds(10);
    world.lost.add('far');
    await world.rounds(2);
    const { items } = await world.incidents.list({});
    expect(items.map(({ status, number }) => [number, status])).toEqual([
      [2, 'open'],
      [1, 'resolved'],
    ]);
  });

  it('loses its recovery when the evidence fires again during the hold', async () => {
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    world.lost.delete('far');
    await world.rounds(3);
    world.lost.add('far');
    await world.rounds(1);
    expect((await types()).at(-1)).toBe('recovery-lost');
    world.lost.delete('far');
    await world.rounds(4);
    expect(await world.only()).toMatchObject({ status: 'mitigated' });
    await world.rounds(6);
    expect(await world.only()).toMatchObject({ status: 'resolved' });
  });

  it('is neither opened nor resolved while telemetry is silent or cannot be asked', async () => {
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    for (const how of ['silent', 'down'] as const) {
      world.state.clickhouse = how;
      await world.rounds(4, 10_000);
      expect(await world.only()).toMatchObject({ status: 'mitigating' });
    }
    const lost = (await world.incidents.detectors()).find(({ id }) => id === 'agent-lost');
    expect(lost).toMatchObject({ state: 'failed', lastError: 'ClickHouse does not answer' });
  });

  it('recovers by itself without an action when the evidence clears first', async () => {
    world.script.refusal = 'not-now';
    world.lost.add('far');
    await world.rounds(2);
    world.lost.delete('far');
    await world.rounds(10);
    expect(await world.only()).toMatchObject({ status: 'resolved', executions: [] });
    expect(world.made).toEqual([]);
  });

  it('does not act when the trouble was over before the flow began', async () => {
    world.lost.add('far');
    await world.rounds(2);
    world.lost.delete('far');
    await world.rounds(2);
    await world.flows();
    expect(world.made).toEqual([]);
    const [id = ''] = (await world.only()).executions;
    expect(await world.incidents.execution(id)).toMatchObject({
      status: 'skipped',
      verdict: 'recovered-before-action',
    });
  });

  it('undoes what did not help, and calls a person', async () => {
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    await world.rounds(13, 10_000);
    await world.flows();
    expect(world.made).toEqual(['one', 'undo one']);
    expect(await world.only()).toMatchObject({
      status: 'open',
      needsHuman: true,
      mitigatedAt: null,
    });
    expect((await types()).slice(-2)).toEqual(['undone', 'escalated']);
    await world.rounds(5);
    expect((await world.only()).executions).toHaveLength(1);
  });

  it('calls a person when the flow that was to undo it ended without doing so', async () => {
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    await world.rounds(13, 10_000);
    world.runStates.set([...world.started.keys()].at(-1) ?? '', 'cancelled');
    await world.rounds(2);
    expect(await world.only()).toMatchObject({ status: 'open', needsHuman: true });
    const [id = ''] = (await world.only()).executions;
    expect(await world.incidents.execution(id)).toMatchObject({ status: 'failed' });
    expect(world.made).toEqual(['one']);
  });

  it('takes a further step when the first one was not enough and there is more to do', async () => {
    world.lost.add('far');
    await world.rounds(2);
    await world.flows();
    world.script.calls = ['two'];
    await world.rounds(10);
    await world.flows();
    world.lost.delete('far');
    await world.rounds(10);
    expect(world.made).toEqual(['one', 'two']);
    expect(await world.only()).toMatchObject({ status: 'resolved' });
  });

  it('goes on from the last recorded step after a crash, and says nothing twice', async () => {
    world.script.calls = ['one', 'two', 'three'];
    world.script.act = async (context) => {
      for (const key of world.script.calls) {
        await context.step(key, async () => world.made.push(key));
        await context.report({ key, ok: true, outcome: 'done', detail: {} });
      }
    };
    world.lost.add('far');
    await world.rounds(2);
    const dying = new AbortController();
    const [flow] = world.started.values();
    if (!flow) throw new Error('no flow was started');
    const crashed = world.incidents.runExecution(flow.executionId, {
      signal: dying.signal,
      async step(key, work) {
        if (key === 'three') dying.abort(new Error('the process died'));
        dying.signal.throwIfAborted();
        if (!flow.steps.has(key)) flow.steps.set(key, await work());
        return flow.steps.get(key) as Awaited<ReturnType<typeof work>>;
      },
    });
    await expect(crashed).rejects.toThrow('the process died');
    await world.flows();
    expect(world.made).toEqual(['one', 'two', 'three']);
    const acted = (await world.only()).timeline.filter(({ type }) => type === 'acted');
    expect(acted.map(({ detail }) => detail['call'])).toEqual(['one', 'two', 'three', undefined]);
  });

  it('copies each line of the timeline to telemetry', async () => {
    world.lost.add('far');
    await world.rounds(2);
    const lines = world.events.map(({ type, number }) => [number, type]);
    expect(lines).toEqual([
      [1, 'opened'],
      [1, 'planned'],
    ]);
  });
});

describe('two servers at once', () => {
  it('open one incident and start one response', async () => {
    const other = world.open();
    world.lost.add('far').add('further');
    for (let index = 0; index < 4; index++) {
      await Promise.all([world.round(world.incidents, 500), world.round(other, 500)]);
    }
    const { items } = await world.incidents.list({});
    expect(items).toHaveLength(2);
    expect(items.map(({ executions }) => executions.length)).toEqual([1, 1]);
    expect(world.started.size).toBe(2);
    await Promise.all([world.flows(), world.flows()]);
    expect(world.made).toEqual(['one', 'one']);
  });
});
