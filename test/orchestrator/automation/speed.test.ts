/** Two thousand automated assets looked at in one round, and what a quiet round costs. */
import { loadavg } from 'node:os';
import { asset, eager, onCron } from 'signalbox';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { manualClock } from '../../../domain/time.ts';
import { definitionsOf } from '../../../orchestrator/define/registry.ts';
import { type AutomationStand, startAutomationStand } from './stand.ts';

const ASSETS = 2_000;
const MINUTE = 60_000;
/** Of a round of all assets, in milliseconds, on a machine that does nothing else. */
const ROUND_MS = 250;
/** What the round costs this process, whatever else the machine does. */
const ROUND_CPU_MS = 400;
const QUIET_MS = 50;
/** The machine of a test does other things beside. */
const isBusy = (loadavg()[0] ?? 0) > 1;

const clock = manualClock(Date.UTC(2026, 2, 10, 1));
let stand: AutomationStand;

beforeAll(async () => {
  stand = await startAutomationStand(clock);
  const definitions = Array.from({ length: ASSETS }, (_, index) =>
    asset(
      `fast/${index}`,
      {
        dependsOn: index < 20 ? ['fast/in'] : [`fast/${index - 20}`, `fast/${index - 13}`],
        automation: index % 4 === 0 ? onCron('0 5 * * *') : eager(),
      },
      () => 1,
    ),
  );
  await stand.orchestrator.workflows.register(definitionsOf(definitions).definitions, []);
  // As recording leaves it: each made from the version that its upstreams have.
  await stand.stand.sql(
    `INSERT INTO signalbox.materialization (id, asset_key, at, recorded_at, provenance, data_version, code_version, inputs)
     SELECT ('019cd4b1-0000-7000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'fast/' || i,
            $1::timestamptz, $1, 'computed', 'v' || i, '1',
            CASE WHEN i < 20 THEN '[]'::jsonb ELSE jsonb_build_array(
              jsonb_build_array('fast/' || (i - 20), NULL, '019cd4b1-0000-7000-8000-' || lpad(to_hex(i - 20), 12, '0'), 'v'),
              jsonb_build_array('fast/' || (i - 13), NULL, '019cd4b1-0000-7000-8000-' || lpad(to_hex(i - 13), 12, '0'), 'v'))
            END
     FROM generate_series(0, ${ASSETS - 1}) AS i`,
    [new Date(clock.now() - MINUTE)],
  );
  await stand.stand.sql(
    `UPDATE signalbox.asset a SET computed_at = m.at, computed_id = m.id, served_id = m.id
     FROM signalbox.materialization m WHERE m.asset_key = a.key`,
  );
  await stand.stand.sql('ANALYZE');
  await stand.stand.reconcile('automation');
}, 120_000);
afterAll(() => stand[Symbol.asyncDispose]());

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

const round = () => stand.stand.reconcile('automation');

test(`a round of ${ASSETS} assets is short, and one in which nothing happened costs next to nothing`, async () => {
  const full: number[] = [];
  const quiet: number[] = [];
  const one: number[] = [];
  const cpu: number[] = [];
  for (let time = 0; time < 4; time += 1) {
    clock.advance(6 * MINUTE);
    const before = process.cpuUsage();
    full.push(await timed(round));
    const { user, system } = process.cpuUsage(before);
    cpu.push((user + system) / 1_000);
    quiet.push(await timed(round));
    await stand.stand.sql(
      `UPDATE signalbox.asset_automation SET next_at = $1 WHERE asset_key = 'fast/1999'`,
      [new Date(clock.now())],
    );
    one.push(await timed(round));
  }
  const [row] = await stand.stand.sql<{ looked: string }>(
    'SELECT count(*) AS looked FROM signalbox.asset_automation WHERE evaluated_at = $1',
    [new Date(clock.now())],
  );
  expect(row?.looked).toBe(String(ASSETS));
  const least = (of: readonly number[]) => Math.round(Math.min(...of));
  console.log(
    `${ASSETS} assets in ${least(full)} ms (${least(cpu)} ms of them here), one in ${least(one)} ms, nothing in ${least(quiet)} ms; load ${loadavg()[0]}`,
  );
  expect(least(cpu)).toBeLessThan(ROUND_CPU_MS);
  if (!isBusy) expect(least(full)).toBeLessThan(ROUND_MS);
  expect(least(quiet)).toBeLessThan(QUIET_MS);
});

test('what makes all of them due at once is one round and one run, in dependency order', async () => {
  clock.advance(5 * 60 * MINUTE);
  await stand.report('fast/in');
  const took = await timed(stand.look);
  const { items } = await stand.orchestrator.runs.list({ limit: 1_000 });
  expect(items.map(({ workflow }) => workflow)).toEqual(['assets']);
  const tasks = await stand.orchestrator.runs.tasks(items[0]?.id ?? '');
  expect(tasks).toHaveLength(ASSETS);
  const places = new Map(tasks.map(({ key }, index) => [key, index]));
  for (const [index, { dependsOn }] of tasks.entries()) {
    for (const above of dependsOn) expect(places.get(above)).toBeLessThan(index);
  }
  console.log(`${ASSETS} assets asked for in ${Math.round(took)} ms`);
  const standing = await stand.of('fast/1996');
  expect([standing.state, standing.lastRequest?.runId]).toEqual([
    expect.stringMatching(/^(requested|idle)$/),
    items[0]?.id,
  ]);
}, 60_000);
