/**
 * The two ways to ClickHouse: as `writer`, which inserts and migrates, and as `reader`, which can only read.
 * Rows go in as ready bytes. What ClickHouse answers is sorted into three kinds: it is done; the
 * data is at fault (sending it again is no use); anything else may pass by itself.
 */
import { Readable } from 'node:stream';
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from '@clickhouse/client';
import { SignalboxError } from '../../domain/errors.ts';
import type { DetectorQuery, QueryRows } from '../../domain/finding.ts';

/** Where ClickHouse is and as whom to speak to it. */
export interface ClickHouseAccess {
  readonly url: string;
  readonly writer: Credentials;
  readonly reader: Credentials;
}

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** Rows of one table that stand or fall together. */
export interface Batch {
  /** With its database: `otel.otel_traces`. */
  readonly table: string;
  /** What the body holds: lines of JSON, or blocks of columns. */
  readonly format: 'JSONEachRow' | 'Native';
  readonly body: Buffer;
  /** The same token twice is the same batch: ClickHouse takes it once. */
  readonly token: string;
}

/** The data itself is at fault; it would be refused again. */
export class RefusedDataError extends Error {
  /** The table has not the columns that rows name: no row would be taken, whatever is in it. */
  readonly isOfTable: boolean;

  constructor(cause: ClickHouseError) {
    super(`ClickHouse refuses the rows: ${cause.message.slice(0, 500)}`, { cause });
    this.name = 'RefusedDataError';
    this.isOfTable = cause.code === NO_SUCH_COLUMN || /Unknown field/.test(cause.message);
  }
}

const REQUEST_TIMEOUT_MS = 30_000;
/** Who asks after health wants an answer soon, also about a server that hangs. */
const PING_TIMEOUT_MS = 2_000;
const MAX_QUERY_SECONDS = 10;
const MAX_QUERY_ROWS = 100_000;

/** Skip indexes are built by merges: on insert they take more than half of the work, for parts that are small. */
const INSERT_SETTINGS = 'SETTINGS materialize_skip_indexes_on_insert = 0';

const NO_SUCH_COLUMN = '16';
/** Codes by which ClickHouse says that rows cannot be read or do not fit: parse, type, value, column. */
const DATA_FAULTS = new Set(
  [6, 16, 26, 27, 32, 33, 38, 41, 43, 53, 69, 70, 72, 117, 131, 321, 349, 641].map(String),
);

/** Opens the connections; nothing is sent before the first call. */
export function connect(access: ClickHouseAccess) {
  const open = (as: Credentials, connections: number, limits: ClickHouseSettings = {}) =>
    createClient({
      url: access.url,
      username: as.user,
      password: as.password,
      request_timeout: REQUEST_TIMEOUT_MS,
      max_open_connections: connections,
      application: 'signalbox',
      // What fails is told by the error; the client's own log goes to the console.
      log: { level: ClickHouseLogLevel.OFF },
      clickhouse_settings: { output_format_json_quote_64bit_integers: 0, ...limits },
    });
  const writer = open(access.writer, 16);
  // Where the two are one user, nothing but this keeps a question from being an order.
  const isOneUser = access.reader.user === access.writer.user;
  const reader = open(access.reader, 16, isOneUser ? { readonly: '1' } : {});
  return {
    writer,
    insert: (batch: Batch) => insert(writer, batch),
    query: (query: DetectorQuery) => select(reader, query),
    /** As writer: for what the collector asks about its own writes. */
    queryAsWriter: (query: DetectorQuery) => select(writer, query),
    /** Whether it answers at all. */
    async isReachable(): Promise<boolean> {
      return (
        await reader.ping({ select: false, abort_signal: AbortSignal.timeout(PING_TIMEOUT_MS) })
      ).success;
    },
    async close() {
      await Promise.all([writer.close(), reader.close()]);
    },
  };
}

export type Connection = ReturnType<typeof connect>;

/** @throws RefusedDataError where the rows are at fault; another error where trying again may help */
async function insert(client: ClickHouseClient, batch: Batch): Promise<void> {
  try {
    const result = await client.exec({
      query: `INSERT INTO ${batch.table} ${INSERT_SETTINGS} FORMAT ${batch.format}`,
      values: Readable.from([batch.body], { objectMode: false }),
      clickhouse_settings: {
        insert_deduplication_token: batch.token,
        deduplicate_blocks_in_dependent_materialized_views: 1,
        input_format_skip_unknown_fields: 0,
        // Late data of many days in one batch is unusual, not wrong.
        max_partitions_per_insert_block: '0',
      },
    });
    result.stream.resume();
    await new Promise((resolve, reject) => {
      result.stream.once('end', resolve).once('close', resolve).once('error', reject);
    });
  } catch (error) {
    if (error instanceof ClickHouseError && DATA_FAULTS.has(error.code)) {
      throw new RefusedDataError(error);
    }
    throw error;
  }
}

async function select(client: ClickHouseClient, query: DetectorQuery): Promise<QueryRows> {
  try {
    const result = await client.query({
      query: query.sql,
      query_params: { ...query.parameters },
      format: 'JSONEachRow',
      clickhouse_settings: {
        max_execution_time: MAX_QUERY_SECONDS,
        max_result_rows: String(MAX_QUERY_ROWS),
      },
    });
    return (await result.json()) as QueryRows;
  } catch (error) {
    if (error instanceof ClickHouseError) {
      throw new Error(`ClickHouse: ${error.message} (code ${error.code})`, { cause: error });
    }
    throw new SignalboxError('unavailable', `ClickHouse does not answer: ${messageOf(error)}`);
  }
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') {
    return error.errors.map(messageOf).join('; ');
  }
  return error instanceof Error ? error.message : String(error);
}
