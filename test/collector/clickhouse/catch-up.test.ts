import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  type EmbeddedClickHouse,
  startEmbeddedClickHouse,
} from '../../../collector/embedded/start.ts';
import { type Stand, startStand } from '../../orchestrator/dispatch/stand.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { PASSWORDS, runEvent, startCollector } from '../start.ts';

const TRANSACTIONS = 6_000;

let stand: Stand;
let temp: TempDir;
let clickhouse: EmbeddedClickHouse;
beforeAll(async () => {
  [stand, temp] = await Promise.all([startStand(), makeTempDir('clickhouse')]);
  clickhouse = await startEmbeddedClickHouse({
    ...{ dataDir: temp.path, host: '127.0.0.1', port: 0, log: () => undefined },
    ...{ readerPassword: PASSWORDS.reader, writerPassword: PASSWORDS.writer },
  });
});
afterAll(async () => {
  await clickhouse?.stop();
  await stand?.[Symbol.asyncDispose]();
  await temp?.remove();
});

/** Transactions of one event each, as they come where little happens at once in each of them. */
function append(transactions: number): Promise<unknown> {
  const { id: _, ...event } = runEvent(0);
  return stand.sql(
    `INSERT INTO signalbox.event_batch (at, kind, size, events)
     SELECT now(), 'run', 1, $1 FROM generate_series(1, $2)`,
    [JSON.stringify([event]), transactions],
  );
}

it('a ClickHouse that stood still is caught up with in a few large inserts, however small the transactions were', async () => {
  const { collector, ...started } = await startCollector(clickhouse.url, {
    source: { ...stand.orchestrator.events, append: () => undefined, forgetful: false },
  });
  await using _ = started;
  const stored = async () => {
    const [row] = await collector.query({
      sql: `SELECT count() AS events, uniqExact(event_id) AS ids, uniqExact(ingested_at) AS inserts
            FROM signalbox.run_events`,
      parameters: {},
    });
    return row;
  };
  await append(1);
  await waitFor(async () => Number((await stored())?.['events']) === 1);
  process.kill(clickhouse.pid, 'SIGSTOP');
  try {
    // What the copier has in its hands when ClickHouse stands still is small; all else comes meanwhile.
    await append(1);
    await waitFor(async () => ((await collector.health()).lagMs ?? 0) > 0);
    await append(TRANSACTIONS);
  } finally {
    process.kill(clickhouse.pid, 'SIGCONT');
  }
  await waitFor(async () => Number((await stored())?.['events']) === TRANSACTIONS + 2);
  const all = await stored();
  expect(Number(all?.['ids'])).toBe(TRANSACTIONS + 2);
  expect(Number(all?.['inserts'])).toBeLessThanOrEqual(5);
});
