/** Whether the server can work, part by part. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Parts } from './parts.ts';

const LIMIT_MS = 3_000;

export interface Readiness {
  /** `degraded`: runs go on, but telemetry waits. */
  readonly status: 'ready' | 'degraded' | 'unavailable';
  readonly parts: {
    readonly postgres: 'ok' | 'unreachable';
    readonly clickhouse: 'ok' | 'unreachable';
  };
  readonly telemetry: { readonly lagMs: number | null; readonly spooledBytes: number };
  /** Workflow files with a fault: the rest runs. Null where nobody can tell. */
  readonly workflows: { readonly fileErrors: number | null };
}

export async function readiness({
  db,
  collector,
  orchestrator,
}: Pick<Parts, 'db' | 'collector' | 'orchestrator'>): Promise<Readiness> {
  const [postgres, seen, fileErrors] = await Promise.all([
    within(
      db.query('SELECT 1').then(() => 'ok' as const),
      'unreachable' as const,
    ),
    within(collector.health(), {
      clickhouse: 'unreachable',
      lagMs: null,
      spooledBytes: 0,
    } as const),
    within(orchestrator.workflows.faultyFiles(), null),
  ]);
  const { clickhouse, lagMs, spooledBytes } = seen;
  const status = postgres !== 'ok' ? 'unavailable' : clickhouse !== 'ok' ? 'degraded' : 'ready';
  return {
    ...{ status, parts: { postgres, clickhouse }, telemetry: { lagMs, spooledBytes } },
    workflows: { fileErrors },
  };
}

async function within<T>(work: Promise<T>, otherwise: T): Promise<T> {
  const abort = new AbortController();
  const late = delay(LIMIT_MS, otherwise, { signal: abort.signal }).catch(() => otherwise);
  try {
    return await Promise.race([work.catch(() => otherwise), late]);
  } finally {
    abort.abort();
  }
}
