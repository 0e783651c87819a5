/** Whether the server can work, part by part. */
import type { Parts } from './parts.ts';
import { within } from './within.ts';

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
      LIMIT_MS,
    ),
    within(
      collector.health(),
      { clickhouse: 'unreachable', lagMs: null, spooledBytes: 0 } as const,
      LIMIT_MS,
    ),
    within(orchestrator.workflows.faultyFiles(), null, LIMIT_MS),
  ]);
  const { clickhouse, lagMs, spooledBytes } = seen;
  const status = postgres !== 'ok' ? 'unavailable' : clickhouse !== 'ok' ? 'degraded' : 'ready';
  return {
    ...{ status, parts: { postgres, clickhouse }, telemetry: { lagMs, spooledBytes } },
    workflows: { fileErrors },
  };
}
