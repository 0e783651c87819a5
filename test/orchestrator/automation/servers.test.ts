/** Several servers that look at the same assets, and one that dies in the middle. */
import { asset, eager, onCron } from 'signalbox';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import { createStaleness } from '../../../orchestrator/assets/staleness.ts';
import { createAutomationFollower } from '../../../orchestrator/automation/follow.ts';
import { createRunInfos } from '../../../orchestrator/runs/run-info.ts';
import { createRunMaker } from '../../../orchestrator/runs/trigger.ts';
import { createVersions } from '../../../orchestrator/runs/versions.ts';
import { connect, type Db } from '../../../orchestrator/store/connection.ts';
import { type AutomationStand, startAutomationStand } from './stand.ts';

const HOUR = 3_600_000;
let clock: ReturnType<typeof manualClock>;
let stand: AutomationStand;
beforeEach(async () => {
  clock = manualClock(Date.UTC(2026, 2, 10, 1));
  stand = await startAutomationStand(clock);
});
afterEach(() => stand[Symbol.asyncDispose]());

const automation = eager();
const assets = Array.from({ length: 20 }, (_, index) =>
  asset(`s/a${index}`, { dependsOn: ['s/up'], automation }, () => 1),
);

async function runsByAsset(): Promise<readonly (readonly [string, number])[]> {
  const rows = await stand.stand.sql<{ workflow: string; runs: string }>(
    `SELECT workflow, count(*) AS runs FROM signalbox.run GROUP BY 1 ORDER BY 1`,
  );
  return rows.map(({ workflow, runs }) => [workflow, Number(runs)]);
}

describe('servers', () => {
  it('that look at once ask for each asset once, and for what comes next once more', async () => {
    const second = await stand.stand.another();
    const steps = [stand.orchestrator, second].flatMap(({ reconcilers }) =>
      reconcilers.filter(({ name }) => name === 'automation'),
    );
    await stand.register(...assets);
    await stand.report('s/up');
    for (let round = 0; round < 5; round += 1) {
      await Promise.all([...steps, ...steps, ...steps].map((step) => step.run()));
    }
    await stand.look();
    const runs = await runsByAsset();
    expect(runs).toHaveLength(20);
    expect(new Set(runs.map(([, count]) => count))).toEqual(new Set([1]));
  });

  it('one that dies between its look and the run loses nothing: the next makes the run, once', async () => {
    const hourly = asset('s/hourly', { automation: onCron('0 * * * *') }, () => 1);
    await stand.register(hourly, ...assets);
    await stand.report('s/up');
    clock.advance(HOUR);
    const connection = connect({ databaseUrl: stand.stand.postgres.url, log: () => {} });
    try {
      const versions = createVersions();
      const makeRuns = createRunMaker({ clock, versions, infos: createRunInfos(versions) });
      let reached = 0;
      const dying = createAutomationFollower({
        ...{ db: connection.db as Db, clock, versions, log: () => {} },
        staleness: createStaleness(connection.db),
        hub: { onChange: () => () => undefined } as never,
        announceRuns: () => {},
        async createRuns(tx, requests) {
          const made = await makeRuns(tx, requests);
          reached += made.length;
          // The runs are written, the transaction is not over: the process is gone.
          await tx.query('SELECT pg_terminate_backend(pg_backend_pid())');
          return made;
        },
      });
      await expect(dying.reconciler.run()).rejects.toThrow();
      await dying.close();
      expect(reached).toBe(21);
    } finally {
      await connection.close();
    }
    expect(await runsByAsset()).toEqual([]);
    await stand.look();
    await stand.look();
    const runs = await runsByAsset();
    expect(runs).toHaveLength(21);
    expect(new Set(runs.map(([, count]) => count))).toEqual(new Set([1]));
  });

  it('nothing is followed, and nothing kept for it, once no asset is automated any more', async () => {
    await stand.register(...assets);
    await stand.look();
    const plain = assets.map(({ key }) => asset(key, { dependsOn: ['s/up'] }, () => 1));
    await stand.register(...plain);
    await stand.stand.reconcile('automation');
    const places = await stand.stand.sql(
      `SELECT name FROM signalbox.follower WHERE name = 'automation'`,
    );
    expect(places).toEqual([]);
    await stand.register(...assets);
    await stand.report('s/up');
    await stand.look();
    expect(await runsByAsset()).toHaveLength(20);
  });
});
