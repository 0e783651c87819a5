/** What was logged in a run: the product's own tasks and anything that sent its run id by OTLP. */
import type { LogLine } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { QueryRows } from '../../domain/finding.ts';
import { TELEMETRY } from '../../domain/telemetry.ts';
import type { EpochMs } from '../../domain/time.ts';
import type { AskClickHouse } from './stored-events.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const satisfies readonly LogLine['level'][];

/** Least severity of each level: OpenTelemetry's ranges are 1–8 trace and debug, 9–12 info, 13–16 warn, from 17 on error and fatal. */
const LEAST_SEVERITY = { debug: 0, info: 9, warn: 13, error: 17 } as const;

export interface RunLogQuery {
  readonly limit?: number;
  readonly cursor?: string;
  readonly taskKey?: string;
  readonly attempt?: number;
  /** This level and what is worse. */
  readonly level?: (typeof LEVELS)[number];
  /** A part of the message, in any case. */
  readonly search?: string;
  /** `oldest` first unless told. */
  readonly order?: 'oldest' | 'newest';
  /** Nothing older is looked for. */
  readonly since?: EpochMs;
}

/** A line, and the cursor of a list that goes on behind it. */
export type FoundLogLine = LogLine & { readonly cursor: string };

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const MAX_CURSOR = '9223372036854775807.18446744073709551615';
const CURSOR = /^(\d{1,19})\.(\d{1,20})$/;

/**
 * Ties within a nanosecond are broken by what the line says, so that a page never cuts between equals. Lines that are
 * wholly equal are one line that was sent twice.
 */
const TIE = `cityHash64(TaskKey, LogAttributes['${TELEMETRY.attempt}'], SeverityText, Body)`;
const AT = 'toUnixTimestamp64Nano(Timestamp)';
const sqlOf = (compare: '<' | '>', direction: 'ASC' | 'DESC') => `
SELECT toString(${AT}) AS at_ns, toString(${TIE}) AS tie, TaskKey, SeverityNumber, Body, LogAttributes
FROM otel.otel_logs
WHERE RunId = {run:String} AND Timestamp >= fromUnixTimestamp64Milli({since:Int64})
  AND ({task:String} = '' OR TaskKey = {task:String})
  AND ({attempt:UInt32} = 0 OR LogAttributes['${TELEMETRY.attempt}'] = toString({attempt:UInt32}))
  AND (SeverityNumber >= {severity:UInt8} OR (SeverityNumber = 0 AND {severity:UInt8} <= ${LEAST_SEVERITY.info}))
  AND ({search:String} = '' OR positionCaseInsensitiveUTF8(Body, {search:String}) > 0)
  AND (${AT}, ${TIE}) ${compare} ({after:Int64}, {afterTie:UInt64})
ORDER BY Timestamp ${direction}, ${TIE} ${direction}
LIMIT 1 BY Timestamp, ${TIE}
LIMIT {limit:UInt32}`;
const SQL = { oldest: sqlOf('>', 'ASC'), newest: sqlOf('<', 'DESC') } as const;

const OWN_ATTRIBUTES: ReadonlySet<string> = new Set([
  TELEMETRY.runId,
  TELEMETRY.taskKey,
  TELEMETRY.workflow,
  TELEMETRY.attempt,
]);

/**
 * One page of a run's log.
 * @throws SignalboxError `invalid-cursor`
 */
export async function readRunLogs(
  ask: AskClickHouse,
  runId: string,
  query: RunLogQuery,
): Promise<{ items: readonly FoundLogLine[]; nextCursor: string | null }> {
  const order = query.order ?? 'oldest';
  const start = order === 'oldest' ? '0.0' : MAX_CURSOR;
  const [, after, afterTie] = CURSOR.exec(query.cursor ?? start) ?? [];
  if (after === undefined || afterTie === undefined) throw new SignalboxError('invalid-cursor');
  const limit = Math.min(Math.max(1, query.limit ?? DEFAULT_LIMIT), MAX_LIMIT);
  const rows = await ask({
    sql: SQL[order],
    parameters: {
      ...{ run: runId, task: query.taskKey ?? '', after, afterTie, limit: limit + 1 },
      ...{ attempt: query.attempt ?? 0, search: query.search ?? '' },
      ...{ severity: LEAST_SEVERITY[query.level ?? 'debug'], since: query.since ?? 0 },
    },
  });
  const items = rows.slice(0, limit).map((row) => toLine(runId, row));
  return { items, nextCursor: rows.length > limit ? (items.at(-1)?.cursor ?? null) : null };
}

function toLine(runId: string, row: QueryRows[number]): FoundLogLine {
  const all = row['LogAttributes'] as Readonly<Record<string, string>>;
  return {
    runId,
    taskKey: String(row['TaskKey']),
    attempt: Number(all[TELEMETRY.attempt] ?? 1),
    at: Number(BigInt(String(row['at_ns'])) / 1_000_000n),
    level: levelOf(Number(row['SeverityNumber'])),
    message: String(row['Body']),
    attributes: Object.fromEntries(Object.entries(all).filter(([key]) => !OWN_ATTRIBUTES.has(key))),
    cursor: `${row['at_ns']}.${row['tie']}`,
  };
}

/** A line without a severity counts as info. */
function levelOf(severity: number): LogLine['level'] {
  if (severity === 0) return 'info';
  return LEVELS.findLast((level) => severity >= LEAST_SEVERITY[level]) ?? 'debug';
}
