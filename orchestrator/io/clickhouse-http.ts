/** A connection to the user's ClickHouse. The client is loaded when the first one is opened. */
import type { Readable } from 'node:stream';

export interface ClickHouse {
  /** Aborted when the attempt must stop. */
  readonly signal: AbortSignal;
  /** A statement that gives no rows. */
  run(sql: string): Promise<void>;
  /** Tidies up; also after the attempt was told to stop, and where ClickHouse does not answer the next writer does. */
  tidy(sql: string): Promise<void>;
  /** Rows as arrays. */
  rows<T>(sql: string): Promise<T[]>;
  /** Rows as arrays, some at a time. */
  stream(sql: string): AsyncIterable<readonly unknown[]>;
  /** Rows as lines of JSON arrays. */
  insert(sql: string, lines: string): Promise<void>;
  /** A text as a literal. */
  text(value: string): string;
  close(): Promise<void>;
}

const LIMIT_MS = 300_000;
const FORMAT = 'JSONCompactEachRow';

/** Integers and times as `clickhouse-rows.ts` reads them. */
const SETTINGS = {
  output_format_json_quote_64bit_integers: 1,
  output_format_json_quote_denormals: 1,
  date_time_output_format: 'iso',
  date_time_input_format: 'best_effort',
  wait_end_of_query: 1,
} as const;

export async function clickHouseAt(url: string, signal: AbortSignal): Promise<ClickHouse> {
  const { ClickHouseLogLevel, createClient } = await import('@clickhouse/client');
  const { address, username, password } = credentialsIn(url);
  const client = createClient({
    ...{ url: address, request_timeout: LIMIT_MS, application: 'signalbox/io' },
    // What goes wrong is told by the attempt that it ends.
    log: { level: ClickHouseLogLevel.OFF },
    ...(username === '' ? {} : { username, password }),
  });
  const shared = { abort_signal: signal };
  const rows = async <T>(sql: string): Promise<T[]> => {
    const found = await client.query({
      ...{ query: sql, format: FORMAT, clickhouse_settings: SETTINGS },
      ...shared,
    });
    return found.json<T>() as Promise<T[]>;
  };
  const text = (value: string) => `'${value.replace(/[\\']/g, '\\$&').replaceAll('\0', '\\0')}'`;
  return {
    ...{ signal, rows, text },
    async run(sql) {
      await client.command({ query: sql, ...shared });
    },
    async tidy(sql) {
      await client.command({ query: sql }).catch(() => undefined);
    },
    async *stream(sql) {
      const { wait_end_of_query: _, ...settings } = SETTINGS;
      const found = await client.query({
        ...{ query: sql, format: FORMAT, clickhouse_settings: settings },
        ...shared,
      });
      const stream = found.stream<unknown[]>() as Readable;
      for await (const some of stream) {
        for (const row of some as { json(): readonly unknown[] }[]) yield row.json();
      }
    },
    async insert(sql, lines) {
      await client.command({
        query: `${sql} FORMAT ${FORMAT}\n${lines}`,
        clickhouse_settings: { date_time_input_format: 'best_effort' },
        ...shared,
      });
    },
    close: () => client.close(),
  };
}

function credentialsIn(url: string): { address: string; username: string; password: string } {
  const parsed = new URL(url);
  const username = decodeURIComponent(parsed.username);
  const password = decodeURIComponent(parsed.password);
  parsed.username = '';
  parsed.password = '';
  return { address: parsed.href, username, password };
}

/** A name as it stands in a statement. */
export function quote(name: string): string {
  return `\`${name.replace(/[\\`]/g, '\\$&')}\``;
}
