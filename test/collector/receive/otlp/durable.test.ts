import { expect, it } from 'vitest';
import { waitFor } from '../../../support/wait-for.ts';
import { type RestartableClickHouse, startRestartable } from '../../clickhouse/restartable.ts';
import { startCollector } from '../../start.ts';
import { encodeRequest } from './protobuf-reference.ts';

const SENDERS = 4;

it('keeps every span that was answered 200, once, through kills and absences of ClickHouse', async () => {
  await using clickhouse = await startRestartable();
  await using started = await startCollector(clickhouse.url);
  const { collector } = started;
  const acknowledged = new Set<string>();
  const statuses = new Set<number>();
  let running = true;
  let next = 0;

  const sender = async () => {
    while (running) {
      next += 1;
      const traceId = next.toString(16).padStart(32, '0');
      const request = {
        contentType: 'application/x-protobuf',
        contentEncoding: null,
        body: spanOf(traceId),
      };
      const answer = await collector.receiveOtlp('traces', request);
      statuses.add(answer.status);
      if (answer.status === 200) acknowledged.add(traceId);
      else expect(answer.retryAfterSeconds).toBeGreaterThan(0);
    }
  };
  const senders = Array.from({ length: SENDERS }, sender);
  await disturb(clickhouse, () => acknowledged.size);
  // Away for longer than an insert is tried: senders are asked to come again, which is what they are for.
  await waitFor(() => statuses.has(503), { timeoutMs: 20_000 });
  await clickhouse.start();
  running = false;
  await Promise.all(senders);

  expect(statuses).toEqual(new Set([200, 503]));
  const rows = await collector.query({
    sql: 'SELECT TraceId, count() AS n FROM otel.otel_traces GROUP BY TraceId',
    parameters: {},
  });
  const stored = new Map(rows.map((row) => [row['TraceId'], row['n']]));
  expect(acknowledged.size).toBeGreaterThan(10);
  for (const traceId of acknowledged) expect([traceId, stored.get(traceId)]).toEqual([traceId, 1]);
});

/** Kills it in the middle of inserts, lets it come back, and stops it. */
async function disturb(clickhouse: RestartableClickHouse, count: () => number): Promise<void> {
  await waitFor(() => count() > 8);
  await clickhouse.kill();
  await clickhouse.start();
  const before = count();
  await waitFor(() => count() > before + 4, { timeoutMs: 20_000 });
  await clickhouse.stop();
}

function spanOf(traceId: string): Uint8Array {
  const span = {
    traceId,
    spanId: 'cd'.repeat(8),
    name: 'span',
    startTimeUnixNano: '1795457942634832125',
    endTimeUnixNano: '1795457942634832225',
  };
  return encodeRequest('traces', { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] });
}
