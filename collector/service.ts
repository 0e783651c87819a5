/** The collector as the rest of the product uses it. */

import type { LogLine } from '../domain/agent-protocol.ts';
import type { HeartbeatSample, PoolSample } from '../domain/events.ts';
import type { DetectorQuery, QueryRows } from '../domain/finding.ts';
import type { ConnectionBudget, PoolLevers } from '../domain/levers.ts';
import type { Pool } from '../domain/pool.ts';
import type { FoundLogLine, RunLogQuery } from './clickhouse/run-logs.ts';

/** Answer to an OTLP request: what to send back, byte for byte. */
export interface OtlpAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
  readonly retryAfterSeconds?: number;
}

export type OtlpSignal = 'traces' | 'metrics' | 'logs';

export interface Collector {
  /** Durable once it resolves with 200. The body is still compressed as `contentEncoding` says. */
  receiveOtlp(
    signal: OtlpSignal,
    request: { contentType: string; contentEncoding: string | null; body: Uint8Array },
  ): Promise<OtlpAnswer>;
  /** One OpenLineage event or an array; what is valid is kept, faults are told by index. */
  receiveOpenLineage(body: unknown): Promise<{
    accepted: number;
    faults: readonly { index: number; path: string; message: string }[];
  }>;
  recordPoolSamples(samples: readonly PoolSample[]): Promise<void>;
  recordHeartbeats(samples: readonly HeartbeatSample[]): Promise<void>;
  recordLogs(lines: readonly (LogLine & { workflow: string; agent: string })[]): Promise<void>;
  recordIncidentEvent(event: Readonly<Record<string, unknown>>): Promise<void>;
  /** Read-only SELECT with typed parameters, as `reader`. */
  query(query: DetectorQuery): Promise<QueryRows>;
  /** Newest sample of each observed pool. */
  observedPools(): Promise<readonly Pool[]>;
  runLogs(
    runId: string,
    query: RunLogQuery,
  ): Promise<{ items: readonly FoundLogLine[]; nextCursor: string | null }>;
  /** Watched PostgreSQL servers: budgets, sessions, role limits. */
  readonly servers: Pick<
    PoolLevers,
    'sessions' | 'terminate' | 'roleConnectionLimit' | 'setRoleConnectionLimit'
  > & {
    list(): readonly string[];
    budget(server: string, pools: ConnectionBudget['pools']): Promise<ConnectionBudget>;
  };
  /** Seconds between an event's time and its being queryable; parts' health for /readyz. */
  health(): Promise<{
    clickhouse: 'ok' | 'unreachable';
    lagMs: number | null;
    spooledBytes: number;
  }>;
  /** Events were appended to the source: copy them at once instead of at the next look. */
  nudge(): void;
  /**
   * Sets how long rows stay, where that is not so yet; null for ever.
   * @returns tables that were changed
   */
  applyRetention(keeps: ReadonlyMap<string, number | null>): Promise<readonly string[]>;
  /** Applies the ClickHouse migrations; harmless when repeated. Waits for nothing: fails while ClickHouse is away. */
  migrate(): Promise<readonly string[]>;
  start(): Promise<void>;
  stop(): Promise<void>;
}
