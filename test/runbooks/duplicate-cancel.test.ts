import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Incident } from '../../domain/incident.ts';
import { RUN_STATES, type Run, type Task } from '../../domain/run.ts';
import { duplicateCancel } from '../../runbooks/duplicate-cancel.ts';
import { actingOn, type MemoryWorld, memoryWorld, someRun } from './levers.ts';

const incidentOf = (runs: readonly Run[]): Partial<Incident> => ({
  kind: 'duplicate-runs',
  diagnosis: 'concurrent',
  subjects: runs.map(({ id }) => ({ type: 'run', id })),
});

async function carryOut(world: MemoryWorld) {
  const context = actingOn(world, incidentOf(world.runs));
  const plan = await duplicateCancel.plan(context);
  await duplicateCancel.act(context, plan);
  return { plan, context };
}

const states = (world: MemoryWorld) =>
  Object.fromEntries(world.runs.map(({ id, state }) => [id, state]));

const done = (count: number) =>
  Array.from({ length: count }, () => ({ state: 'succeeded' }) as Task);

describe('duplicate-cancel', () => {
  it('leaves runs alone whose engine takes no commands', async () => {
    const engine = 'openlineage:airflow';
    const world = memoryWorld({
      runs: [someRun({ id: 'a', engine }), someRun({ id: 'b', engine, state: 'running' })],
    });
    const plan = await duplicateCancel.plan(actingOn(world, incidentOf(world.runs)));
    expect(plan).toMatchObject({ refusal: 'engine-takes-no-commands', calls: [] });
  });

  it('keeps the oldest where none is ahead', async () => {
    const world = memoryWorld({
      runs: [
        someRun({ id: 'b', createdAt: '2026-01-05T12:00:01.000Z' }),
        someRun({ id: 'a', createdAt: '2026-01-05T12:00:00.000Z' }),
      ],
    });
    await carryOut(world);
    expect(states(world)).toEqual({ a: 'queued', b: 'cancelled' });
  });

  it('keeps the one whose agent has a valid lease before an older one', async () => {
    const world = memoryWorld({
      runs: [
        someRun({ id: 'a', state: 'running' }),
        someRun({ id: 'b', state: 'running', createdAt: '2026-01-05T12:00:09.000Z' }),
      ],
      leases: new Set(['b']),
    });
    await carryOut(world);
    expect(states(world)).toEqual({ a: 'cancelled', b: 'running' });
  });

  it('keeps the furthest along before the one with a lease, and the done one before all', async () => {
    const further = memoryWorld({
      runs: [someRun({ id: 'a', state: 'running' }), someRun({ id: 'b', state: 'running' })],
      leases: new Set(['b']),
      tasks: { a: done(2), b: done(1) },
    });
    await carryOut(further);
    expect(states(further)).toEqual({ a: 'running', b: 'cancelled' });
    const finished = memoryWorld({
      runs: [someRun({ id: 'a', state: 'running' }), someRun({ id: 'b', state: 'succeeded' })],
      tasks: { a: done(9) },
    });
    await carryOut(finished);
    expect(states(finished)).toEqual({ a: 'cancelled', b: 'succeeded' });
  });

  it('leaves a retry alone, and runs that have ended', async () => {
    const world = memoryWorld({
      runs: [
        someRun({ id: 'a', state: 'running' }),
        someRun({ id: 'b', state: 'failed' }),
        someRun({ id: 'c', trigger: 'retry', retryOf: 'b' }),
      ],
    });
    const { plan } = await carryOut(world);
    expect(plan.refusal).toBe('no-surplus-left');
    expect(states(world)).toEqual({ a: 'running', b: 'failed', c: 'queued' });
  });

  it('cancels nothing once the survivor is gone', async () => {
    const world = memoryWorld({ runs: [someRun({ id: 'a' }), someRun({ id: 'b' })] });
    const context = actingOn(world, incidentOf(world.runs));
    const plan = await duplicateCancel.plan(context);
    world.runs = world.runs.map((run) => (run.id === 'a' ? { ...run, state: 'failed' } : run));
    await duplicateCancel.act(context, plan);
    expect(states(world)).toEqual({ a: 'failed', b: 'queued' });
    expect(context.results).toMatchObject([{ ok: false, outcome: 'survivor-is-gone' }]);
  });

  it('does not confirm while a cancelled run still holds a slot', async () => {
    const world = memoryWorld({ runs: [someRun({ id: 'a' }), someRun({ id: 'b' })] });
    const { plan, context } = await carryOut(world);
    expect(await duplicateCancel.confirm(context, plan)).toMatchObject({ ok: true });
    world.leases.add('b');
    expect(await duplicateCancel.confirm(context, plan)).toMatchObject({ ok: false });
  });

  it('leaves one run of each key to take effect, whatever their states', async () => {
    const someRuns = fc.array(
      fc.record({ state: fc.constantFrom(...RUN_STATES), key: fc.constantFrom('k1', 'k2') }),
      { minLength: 1, maxLength: 8 },
    );
    await fc.assert(
      fc.asyncProperty(someRuns, fc.nat(), async (drawn, salt) => {
        const runs = drawn.map(({ state, key }, index) =>
          someRun({ id: `r${index}`, state, businessKey: key }),
        );
        const leases = new Set(
          runs.filter((_, index) => (index + salt) % 3 === 0).map(({ id }) => id),
        );
        const world = memoryWorld({ runs, leases });
        await carryOut(world);
        for (const key of ['k1', 'k2']) {
          const effective = (all: readonly Run[]) =>
            all.filter(
              (run) =>
                run.businessKey === key && !['failed', 'cancelled', 'skipped'].includes(run.state),
            );
          const before = effective(runs).length;
          const ended = effective(runs).filter(({ state }) => state === 'succeeded').length;
          expect(effective(world.runs).length).toBe(Math.max(ended, Math.min(1, before)));
        }
      }),
      { numRuns: 150 },
    );
  });
});
