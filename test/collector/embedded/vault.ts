import { readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import { expect } from 'vitest';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { ask, must } from './ask.ts';

/** What an attack must never see. */
export const SECRET = 'top-secret-b51c';

/** A server with something to steal, and an address outside that counts who calls it. */
export interface Vault {
  readonly clickhouse: TestClickHouse;
  readonly outsidePort: number;
  /** How often the address outside was called. */
  outsideCalls(): number;
  /**
   * Sends each statement as reader and gives those that were answered, or that told the secret. Fails
   * when any of them changed or reached anything.
   */
  succeed(attacks: readonly string[], query?: Record<string, string>): Promise<string[]>;
  stop(): Promise<void>;
}

/** Makes the server, its tables, and the address outside. */
export async function makeVault(): Promise<Vault> {
  const clickhouse = await startTestClickHouse();
  for (const sql of [
    'CREATE DATABASE otel',
    'CREATE DATABASE signalbox',
    'CREATE DATABASE vault',
    'CREATE TABLE otel.spans (id UInt64, name String) ENGINE = MergeTree ORDER BY id',
    "INSERT INTO otel.spans VALUES (1, 'first'), (2, 'second')",
    'CREATE TABLE signalbox.pools (name String) ENGINE = MergeTree ORDER BY name',
    'CREATE TABLE vault.secrets (value String) ENGINE = MergeTree ORDER BY value',
    `INSERT INTO vault.secrets VALUES ('${SECRET}')`,
    `CREATE TABLE default.private ENGINE = Memory AS SELECT '${SECRET}' AS value`,
    'CREATE VIEW otel.fine AS SELECT id FROM otel.spans',
  ]) {
    await must(clickhouse, sql);
  }
  let outsideCalls = 0;
  const outside = createServer((_request, response) => {
    outsideCalls += 1;
    response.end(SECRET);
  });
  await new Promise<void>((resolve) => outside.listen(0, '127.0.0.1', resolve));
  const address = outside.address();
  return {
    clickhouse,
    outsidePort: typeof address === 'object' && address ? address.port : 0,
    outsideCalls: () => outsideCalls,
    async succeed(attacks, query = {}) {
      const before = await state(clickhouse);
      const successes: string[] = [];
      for (const attack of attacks) {
        const { status, text, headers } = await ask(clickhouse, attack, { as: 'reader', query });
        const isRefused = status >= 400 && headers['x-clickhouse-exception-code'] !== undefined;
        if (!isRefused || text.includes(SECRET) || /root:.*:0:0/.test(text)) {
          successes.push(`${attack} → ${status} ${text.slice(0, 200)}`);
        }
      }
      expect(outsideCalls).toBe(0);
      expect(await state(clickhouse)).toBe(before);
      return successes;
    },
    async stop() {
      outside.close();
      await clickhouse.stop();
    },
  };
}

/** Everything that an attack might have changed. */
async function state(clickhouse: TestClickHouse): Promise<string> {
  const parts = await Promise.all([
    must(clickhouse, 'SELECT count(), sum(id) FROM otel.spans'),
    must(clickhouse, 'SELECT count() FROM vault.secrets'),
    must(clickhouse, 'SELECT name FROM system.databases ORDER BY name'),
    must(
      clickhouse,
      "SELECT database, name FROM system.tables WHERE database NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema') ORDER BY 1, 2",
    ),
    must(clickhouse, "SELECT name FROM system.functions WHERE origin != 'System'"),
  ]);
  const files = readdirSync(clickhouse.dataDir, { recursive: true })
    .map(String)
    .filter(
      (name) =>
        !/^data\/(?:store|data)\/|^data\/status$|^outgoing\/|_config|preprocessed/.test(name),
    )
    .sort();
  return [...parts, ...files].join('\n');
}
