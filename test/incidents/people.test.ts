import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startWorld, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world[Symbol.asyncDispose]());

describe('people and incidents', () => {
  it('acknowledge, note and resolve by hand, each with its author', async () => {
    world.script.refusal = 'not-now';
    world.lost.add('far');
    await world.rounds(2);
    const { id } = await world.only();
    expect(await world.incidents.acknowledge(id, 'token:ann')).toMatchObject({
      status: 'acknowledged',
    });
    await world.incidents.note(id, 'token:ann', 'the rack lost power');
    const resolved = await world.incidents.resolve(id, 'token:ben', 'replaced');
    expect(resolved.timeline.slice(-3).map(({ type, actor }) => [type, actor])).toEqual([
      ['acknowledged', 'token:ann'],
      ['note', 'token:ann'],
      ['resolved', 'token:ben'],
    ]);
    await expect(world.incidents.acknowledge(id, 'token:ann')).rejects.toMatchObject({
      code: 'conflict',
    });
    await expect(world.incidents.get('nonsense')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('lists newest first, page by page', async () => {
    for (const name of ['a', 'b', 'c']) {
      world.lost.add(name);
      await world.rounds(1);
    }
    const first = await world.incidents.list({ limit: 2 });
    expect(first.items.map(({ number }) => number)).toEqual([3, 2]);
    const second = await world.incidents.list({ limit: 2, cursor: first.nextCursor ?? '' });
    expect(second.items.map(({ number }) => number)).toEqual([1]);
    expect(second.nextCursor).toBeNull();
  });

  it('set a detector’s thresholds and switch it off', async () => {
    const set = { settings: { graceMs: '20s' } };
    expect(await world.incidents.setDetector('agent-lost', set, 'token:ann')).toMatchObject({
      settings: { graceMs: 20_000 },
      enabled: true,
    });
    world.lost.add('far');
    await world.rounds(3);
    expect((await world.incidents.list({})).items).toEqual([]);
    await world.incidents.setDetector('agent-lost', { settings: { graceMs: 0 } }, 'token:ann');
    await world.incidents.setDetector('agent-lost', { enabled: false }, 'token:ann');
    await world.rounds(3);
    expect((await world.incidents.list({})).items).toEqual([]);
    await world.incidents.setDetector('agent-lost', { enabled: true }, 'token:ann');
    await world.rounds(1);
    expect((await world.incidents.list({})).items).toHaveLength(1);
    const wrong = world.incidents.setDetector('agent-lost', { settings: { graze: 1 } }, 'x');
    await expect(wrong).rejects.toMatchObject({ code: 'invalid-request' });
  });
});
