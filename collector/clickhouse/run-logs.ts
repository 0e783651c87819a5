/** What was logged in a run, oldest first: the product's own tasks and anything that sent its run id by OTLP. */
import type { LogLine } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { QueryRows } from '../../domain/finding.ts';
import { TELEMETRY } from '../../domain/telemetry.ts';
import type { AskClickHouse } from './stored-events.ts';

export interface RunLogQuery {
  readonly limit?: number;
  readonly cursor?: string;
  readonly taskKey?: string;
}

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
const CURSOR = /^(\d{1,19})\.(\d{1,20})$/;

/** Ties within a nanosecond are broken by what the line says, so that a page never cuts between equals. */
const SQL = `
SELECT toString(toUnixTimestamp64Nano(Timestamp)) AS at_ns, toString(cityHash64(TaskKey, SeverityText, Body)) AS tie,
       TaskKey, SeverityNumber, Body, LogAttributes
FROM otel.otel_logs
WHERE RunId = {run:String}
  AND ({task:String} = '' OR TaskKey = {task:String})
  AND (toUnixTimestamp64Nano(Timestamp), cityHash64(TaskKey, SeverityText, Body)) > ({after:Int64}, {afterTie:UInt64})
ORDER BY Timestamp, cityHash64(TaskKey, SeverityText, Body)
LIMIT {limit:UInt32}`;

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
): Promise<{ items: readonly LogLine[]; nextCursor: string | null }> {
  const [, after, afterTie] = CURSOR.exec(query.cursor ?? '0.0') ?? [];
  if (after === undefined || afterTie === undefined) throw new SignalboxError('invalid-cursor');
  const limit = Math.min(Math.max(1, query.limit ?? DEFAULT_LIMIT), MAX_LIMIT);
  const rows = await ask({
    sql: SQL,
    parameters: { run: runId, task: query.taskKey ?? '', after, afterTie, limit: limit + 1 },
  });
  const page = rows.slice(0, limit);
  const last = page.at(-1);
  const more = rows.length > limit && last !== undefined;
  return {
    items: page.map((row) => toLine(runId, row)),
    nextCursor: more ? `${last['at_ns']}.${last['tie']}` : null,
  };
}

function toLine(runId: string, row: QueryRows[number]): LogLine {
  const all = row['LogAttributes'] as Readonly<Record<string, string>>;
  return {
    runId,
    taskKey: String(row['TaskKey']),
    attempt: Number(all[TELEMETRY.attempt] ?? 1),
    at: Number(BigInt(String(row['at_ns'])) / 1_000_000n),
    level: levelOf(Number(row['SeverityNumber'])),
    message: String(row['Body']),
    attributes: Object.fromEntries(Object.entries(all).filter(([key]) => !OWN_ATTRIBUTES.has(key))),
  };
}

/** OpenTelemetry's ranges: 1–8 trace and debug, 9–12 info, 13–16 warn, from 17 on error and fatal. */
function levelOf(severity: number): LogLine['level'] {
  if (severity >= 17) return 'error';
  if (severity >= 13) return 'warn';
  return severity >= 9 || severity === 0 ? 'info' : 'debug';
}
