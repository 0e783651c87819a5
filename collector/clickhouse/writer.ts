/**
 * Everything that is written to ClickHouse beside run events. Two kinds of senders:
 * - from outside (OTLP): `insert` resolves once the rows are in ClickHouse, or fails and the sender comes again;
 * - the product itself: `record` resolves once the rows are in ClickHouse or, while that is away, on disk.
 */

import { SignalboxError } from '../../domain/errors.ts';
import { type Batch, messageOf } from './connection.ts';
import { LANE_LIMITS, Lane, type LaneLimits, type Rows } from './lane.ts';
import { RefusedRows } from './refused.ts';
import { Spool } from './spool.ts';

export interface WriterOptions {
  readonly spoolDir: string;
  send(batch: Batch): Promise<void>;
  log(message: string): void;
  readonly limits?: Partial<LaneLimits>;
  readonly maxMemoryBytes?: number;
  readonly maxSpoolBytes?: number;
}

const MAX_MEMORY_BYTES = 64 * 1024 * 1024;
const MAX_SPOOL_BYTES = 512 * 1024 * 1024;
/** Samples come each second from many places; nobody waits for them. */
const OWN_LINGER_MS = 250;
const SPOOL_RETRY_MS = 1_000;

export type Writer = ReturnType<typeof createWriter>;

/** Opens the spool and makes the lanes as tables are first written. */
export function createWriter(options: WriterOptions) {
  const memory = { used: 0, limit: options.maxMemoryBytes ?? MAX_MEMORY_BYTES };
  const limits = { ...LANE_LIMITS, ...options.limits };
  const { send, log } = options;
  const refused = new RefusedRows(options.spoolDir, log);
  const setAside = refused.keep.bind(refused);
  const spool = new Spool({
    directory: options.spoolDir,
    maxBytes: options.maxSpoolBytes ?? MAX_SPOOL_BYTES,
    retryEveryMs: SPOOL_RETRY_MS,
    ...{ send, log, setAside },
  });
  const outside = laneByTable(
    (table, format) => new Lane({ table, format, limits, memory, send, onFailure: refuse }),
  );
  const own = laneByTable(
    (table) =>
      new Lane({
        table,
        format: 'JSONEachRow',
        limits: { ...limits, lingerMs: OWN_LINGER_MS, retryForMs: 0 },
        memory,
        // While something is waiting on disk ClickHouse is known to be away: do not wait for it anew.
        send: (batch) => (spool.bytes > 0 ? Promise.reject(new Error('spooling')) : send(batch)),
        onFailure: (batch) => spool.keep(batch),
      }),
  );

  return {
    /**
     * Resolves once the rows are in ClickHouse.
     * @throws SignalboxError `too-many-requests` or `unavailable` (nothing was lost: send again),
     * RefusedDataError where the rows do not fit
     */
    insert: (table: string, rows: Rows, format: Batch['format'] = 'JSONEachRow') =>
      outside.of(table, format).add(rows),
    /** Resolves once the rows are in ClickHouse or in the spool. */
    record: (table: string, rows: Rows) => own.of(table, 'JSONEachRow').add(rows),
    /** Keeps a row that ClickHouse refuses for its content, for a person to look at. */
    setAside,
    get spooledBytes() {
      return spool.bytes;
    },
    get bufferedBytes() {
      return memory.used;
    },
    start: () => spool.start(),
    /** Sends what is buffered; what ClickHouse does not take stays in the spool for the next start. */
    async stop() {
      await Promise.all([...outside.all(), ...own.all()].map((lane) => lane.drain()));
      await spool.stop();
    },
  };
}

function laneByTable(make: (table: string, format: Batch['format']) => Lane) {
  const lanes = new Map<string, Lane>();
  return {
    of(table: string, format: Batch['format']): Lane {
      const key = `${table} ${format}`;
      const lane = lanes.get(key) ?? make(table, format);
      lanes.set(key, lane);
      return lane;
    },
    all: () => [...lanes.values()],
  };
}

function refuse(_batch: Batch, error: unknown): Promise<void> {
  return Promise.reject(
    new SignalboxError('unavailable', `ClickHouse does not take rows: ${messageOf(error)}`),
  );
}

/** JSONEachRow text of plain objects whose keys are column names. */
export function toRows(rows: readonly object[]): Rows {
  const lines = rows.map((row) => `${JSON.stringify(row)}\n`);
  return { body: Buffer.from(lines.join('')), count: rows.length };
}
