/** What Airflow and dbt really sent, taken in as a server does it. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOpenLineageReceiver } from '../../../collector/receive/openlineage/receive.ts';
import { systemClock } from '../../../domain/time.ts';
import { type Stand, startCatalog } from '../catalog/stand.ts';

const RECORDINGS = ['airflow', 'dbt-run', 'dbt-run-structured', 'dbt-test'];
let stand: Stand;

function recorded(name: string): unknown[] {
  const path = `${import.meta.dirname}/../../fixtures/openlineage/${name}.jsonl`;
  return readFileSync(path, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown);
}

async function send(events: readonly unknown[]): Promise<void> {
  const receive = createOpenLineageReceiver({
    writer: { record: async () => {} },
    sink: stand.catalog.external,
    clock: systemClock,
  });
  const answer = await receive(events);
  expect(answer.faults).toEqual([]);
}

beforeAll(async () => {
  stand = await startCatalog();
  for (const name of RECORDINGS) await send(recorded(name));
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
});

describe('recordings', () => {
  test('each task of Airflow’s is a run below its DAG’s run, and ends as it ended', async () => {
    const rows = await stand.db.query<{ workflow: string; state: string; parent: string | null }>(
      `SELECT DISTINCT r.workflow, r.state, p.workflow AS parent
       FROM signalbox.run r LEFT JOIN signalbox.run p ON p.id = r.parent_run_id
       WHERE r.workflow LIKE 'fails%' OR r.workflow LIKE 'two_task%' ORDER BY 1, 2`,
    );
    expect(rows).toContainEqual({
      workflow: 'two_task.load',
      state: 'succeeded',
      parent: 'two_task',
    });
    expect(rows).toContainEqual({ workflow: 'fails.boom', state: 'failed', parent: 'fails' });
    expect(rows).toContainEqual({ workflow: 'two_task', state: 'succeeded', parent: null });
  });

  test('dbt’s models are assets with lineage, versions and checks', async () => {
    const { items } = await stand.catalog.assets.list({ limit: 1000 });
    const made = items.filter((asset) => asset.lastMaterialization?.provenance === 'observed');
    expect(made.length).toBeGreaterThan(0);
    expect(items.some((asset) => asset.dependsOn.length > 0)).toBe(true);
    expect(items.some((asset) => asset.checks.length > 0)).toBe(true);
  });

  test('all of it once more changes nothing', async () => {
    const count = async () =>
      stand.db.query(`
        SELECT (SELECT count(*) FROM signalbox.run) AS runs,
               (SELECT count(*) FROM signalbox.materialization) AS versions,
               (SELECT sum(size) FROM signalbox.event_batch) AS events,
               (SELECT md5(string_agg(r::text, '' ORDER BY id)) FROM signalbox.run r) AS content`);
    const before = await count();
    for (const name of RECORDINGS) await send(recorded(name).toReversed());
    expect(await count()).toEqual(before);
  });
});
