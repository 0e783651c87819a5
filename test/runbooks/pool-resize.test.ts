import { describe, expect, it } from 'vitest';
import type { Pool } from '../../domain/pool.ts';
import { poolResize } from '../../runbooks/pool-resize.ts';
import { actingOn, memoryWorld, someSession } from './levers.ts';

const server = { type: 'server', id: 'db' } as const;
const leaking = { kind: 'pool-exhaustion', diagnosis: 'leak', subjects: [server] } as const;
const saturated = {
  kind: 'pool-exhaustion',
  diagnosis: 'saturation',
  subjects: [server, { type: 'pool', id: 'orders' }],
} as const;
const pool = (patch: Partial<Pool> = {}): Pool => ({
  ...{ name: 'orders', kind: 'postgres-client', used: 10, idle: 0, waiting: 5, max: 10, at: null },
  ...patch,
});
const budget = (open: number, pools = [{ name: 'orders', max: 10, instances: 1 }]) => ({
  ...{ server: 'db', maxConnections: 100, reserved: 3, committed: 10, open, pools },
});

describe('a leak', () => {
  const sessions = [
    someSession({ pid: 1, transactionSeconds: 5 }),
    someSession({ pid: 2, transactionSeconds: 9 }),
    someSession({ pid: 3, stateSeconds: 0.1 }),
    someSession({ pid: 4, role: 'app', application: 'web', state: 'active' }),
  ];

  it('is answered by a limit for its role, then by ending its sessions, oldest first', async () => {
    const context = actingOn(memoryWorld({ sessions }), leaking);
    const plan = await poolResize.plan(context);
    expect(plan.calls.map(({ lever }) => lever)).toEqual([
      'pools.setRoleConnectionLimit',
      'pools.terminate',
    ]);
    const ended = plan.calls[1]?.arguments['sessions'] as { pid: number }[];
    expect(ended.map(({ pid }) => pid)).toEqual([2, 1]);
  });

  it('leaves all other sessions alone, and the limit leaves the role’s honest ones their places', async () => {
    const honest = Array.from({ length: 8 }, (_, index) =>
      someSession({ pid: 100 + index, application: 'web', state: 'active' }),
    );
    const world = memoryWorld({ sessions: [...sessions, ...honest] });
    const context = actingOn(world, leaking);
    const plan = await poolResize.plan(context);
    await poolResize.act(context, plan);
    expect(world.roleLimits).toEqual({ leaky: 12 });
    expect(world.sessions.map(({ pid }) => pid)).toEqual([3, 4, ...honest.map(({ pid }) => pid)]);
    expect(await poolResize.confirm(context, plan)).toMatchObject({ ok: true });
  });

  it('spares a session that went on working since the plan', async () => {
    const world = memoryWorld({ sessions });
    const context = actingOn(world, leaking);
    const plan = await poolResize.plan(context);
    world.sessions = world.sessions.map((one) =>
      one.pid === 2 ? { ...one, state: 'active' } : one,
    );
    await poolResize.act(context, plan);
    expect(world.sessions.map(({ pid }) => pid)).toContain(2);
    expect(context.results.at(-1)?.detail).toMatchObject({ ended: 1, changedSincePlan: 1 });
  });

  it('gives the role its limit back where that did not help', async () => {
    const world = memoryWorld({ sessions });
    const context = actingOn(world, leaking);
    const plan = await poolResize.plan(context);
    await poolResize.act(context, plan);
    await poolResize.undo?.(context, plan);
    expect(world.roleLimits).toEqual({ leaky: -1 });
  });

  it('never has a larger pool as its remedy', async () => {
    const world = memoryWorld({ pools: [pool()], budget: budget(20) });
    const plan = await poolResize.plan(actingOn(world, { ...saturated, diagnosis: 'leak' }));
    expect(plan).toMatchObject({ refusal: 'no-idle-transactions-left', calls: [] });
  });
});

describe('saturation', () => {
  it('raises the pool by the queue, three times at most', async () => {
    const world = memoryWorld({ pools: [pool({ waiting: 50 })], budget: budget(12) });
    const context = actingOn(world, saturated);
    const plan = await poolResize.plan(context);
    await poolResize.act(context, plan);
    expect(world.pools[0]?.max).toBe(30);
    expect(await poolResize.confirm(context, plan)).toMatchObject({ ok: true });
    await poolResize.undo?.(context, plan);
    expect(world.pools[0]?.max).toBe(10);
  });

  it('keeps within what others hold and have been promised', async () => {
    const pools = [
      { name: 'orders', max: 10, instances: 1 },
      { name: 'other', max: 20, instances: 2 },
    ];
    const world = memoryWorld({ pools: [pool({ waiting: 50 })], budget: budget(40, pools) });
    const plan = await poolResize.plan(actingOn(world, saturated));
    expect(plan.calls[0]?.after).toBe(97 - 10 - 30 - 40);
  });

  it('refuses where the budget has no room, and says how it stands', async () => {
    const world = memoryWorld({ pools: [pool()], budget: budget(90) });
    const plan = await poolResize.plan(actingOn(world, saturated));
    expect(plan.refusal).toBe('no-room-in-the-budget');
    expect(plan.reasons[0]).toContain('10 of 10 at work');
  });

  it('changes nothing when somebody else set the ceiling since the plan', async () => {
    const world = memoryWorld({ pools: [pool()], budget: budget(12) });
    const context = actingOn(world, saturated);
    const plan = await poolResize.plan(context);
    world.pools = [pool({ max: 12 })];
    await poolResize.act(context, plan);
    expect(world.pools[0]?.max).toBe(12);
    expect(context.results).toMatchObject([{ ok: false, outcome: 'state-changed-since-plan' }]);
  });
});

describe('other diagnoses', () => {
  it('end the one blocker that idles, and no blocker that works', async () => {
    const waiting = someSession({ pid: 2, state: 'active', blockedBy: [1] });
    const wedged = { ...leaking, diagnosis: 'wedged' };
    const idle = [someSession({ pid: 1, stateSeconds: 20 }), waiting];
    const plan = await poolResize.plan(actingOn(memoryWorld({ sessions: idle }), wedged));
    expect(plan.calls).toHaveLength(1);
    const busy = [someSession({ pid: 1, state: 'active' }), waiting];
    const refused = await poolResize.plan(actingOn(memoryWorld({ sessions: busy }), wedged));
    expect(refused.refusal).toBe('blocker-is-at-work');
  });

  it('have no remedy where nothing is known to help', async () => {
    const unclear = { ...leaking, diagnosis: 'unclear' };
    const plan = await poolResize.plan(actingOn(memoryWorld(), unclear));
    expect(plan.refusal).toBe('no-safe-remedy');
  });
});
