import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createLeases } from '../../server/background/leases.ts';
import { createReconcileLoop } from '../../server/background/reconcile.ts';
import { migrate } from '../../server/migrate.ts';
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';

let database: TestPostgres;
let db: pg.Pool;

beforeAll(async () => {
  database = await startTestPostgres();
  await migrate(database.url);
  db = new pg.Pool({ connectionString: database.url });
});
afterAll(async () => {
  await db.end();
  await database.stop();
});

const quiet = () => undefined;
const leasesOf = (holder: string) => createLeases({ db, holder, log: quiet, leaseMs: 1_200 });

describe('leases of background steps', () => {
  it('are held by one server at a time, and free at once when it ends in order', async () => {
    const first = leasesOf('first');
    const second = leasesOf('second');
    await first.want('clean', 'count');
    await second.want('clean', 'count', 'other');
    expect(['clean', 'count', 'other'].map(first.isHeld)).toEqual([true, true, false]);
    expect(['clean', 'count', 'other'].map(second.isHeld)).toEqual([false, false, true]);
    await first.stop();
    await second.want('clean');
    expect(second.isHeld('clean')).toBe(true);
    expect(first.isHeld('clean')).toBe(false);
    await second.stop();
  });

  it('pass to another server within seconds when their holder dies', async () => {
    // Nothing renews it: as after a kill.
    await leasesOf('killed').want('orphan');
    const heir = leasesOf('heir');
    await heir.want('orphan');
    expect(heir.isHeld('orphan')).toBe(false);
    heir.start();
    await waitFor(() => heir.isHeld('orphan'), { timeoutMs: 9_000, what: 'the lease' });
    await heir.stop();
  });

  it('are no longer counted as held before Postgres would give them to another', async () => {
    const silent = leasesOf('silent');
    await silent.want('quiet');
    await waitFor(() => !silent.isHeld('quiet'), {
      timeoutMs: 8_000,
      what: 'the end of the lease',
    });
    const { rows } = await db.query(
      `SELECT expires_at > now() AS valid FROM signalbox.reconciler_lease WHERE name = 'quiet'`,
    );
    expect(rows).toEqual([{ valid: true }]);
  });
});

describe('background steps', () => {
  const held = { isHeld: () => true };

  it('run again and again, never twice at once, and at once on a nudge', async () => {
    let running = 0;
    let most = 0;
    let rounds = 0;
    const loop = createReconcileLoop({
      leases: held,
      log: quiet,
      observe: quiet,
      reconcilers: [
        {
          name: 'slow',
          everyMs: 60_000,
          async run() {
            running += 1;
            most = Math.max(most, running);
            await new Promise((resolve) => setImmediate(resolve));
            running -= 1;
            rounds += 1;
          },
        },
      ],
    });
    loop.start();
    await waitFor(() => rounds === 1);
    loop.nudge((name) => name === 'slow');
    loop.nudge((name) => name === 'slow');
    await waitFor(() => rounds === 2);
    loop.nudge((name) => name === 'other');
    await loop.stop();
    loop.nudge(() => true);
    expect({ rounds, most }).toEqual({ rounds: 2, most: 1 });
  });

  it('go on after a failure, and tell it once', async () => {
    const told: string[] = [];
    const observed: boolean[] = [];
    let rounds = 0;
    const loop = createReconcileLoop({
      leases: held,
      log: (message) => told.push(message),
      observe: (_name, _seconds, ok) => observed.push(ok),
      reconcilers: [
        {
          name: 'shaky',
          everyMs: 1,
          async run() {
            rounds += 1;
            if (rounds <= 3) throw new Error('no luck');
          },
        },
      ],
    });
    loop.start();
    await waitFor(() => rounds >= 5);
    await loop.stop();
    expect(told).toEqual(['shaky failed: no luck', 'shaky works again']);
    expect(observed.slice(0, 5)).toEqual([false, false, false, true, true]);
  });

  it('do not run while another server holds the lease', async () => {
    let mine = false;
    let rounds = 0;
    const loop = createReconcileLoop({
      leases: { isHeld: () => mine },
      log: quiet,
      observe: quiet,
      reconcilers: [
        {
          name: 'step',
          everyMs: 1,
          async run() {
            rounds += 1;
          },
        },
      ],
    });
    loop.start();
    loop.nudge(() => true);
    await new Promise((resolve) => setImmediate(resolve));
    expect(rounds).toBe(0);
    mine = true;
    await waitFor(() => rounds > 0);
    await loop.stop();
  });
});
