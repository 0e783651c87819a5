/** What the routes are given: the parts of the product, each through its contract. */
import type { Pool as PgPool } from 'pg';
import type { Registry } from 'prom-client';
import type { Collector } from '../collector/service.ts';
import type { Clock } from '../domain/time.ts';
import type { Incidents } from '../incidents/service.ts';
import type { Orchestrator } from '../orchestrator/service.ts';
import type { AuditWriter } from './audit.ts';
import type { Credentials } from './auth/credentials.ts';
import type { Live } from './live.ts';

export interface Parts {
  readonly orchestrator: Orchestrator;
  readonly collector: Collector;
  readonly incidents: Incidents;
  readonly credentials: Credentials;
  readonly audit: AuditWriter;
  readonly live: Live;
  readonly metrics: Registry;
  /** The server's own connections, for what is neither the orchestrator's nor the incidents'. */
  readonly db: PgPool;
  readonly clock: Clock;
  /** Aborts when the server ends: whoever waits for something answers at once. */
  readonly closing: AbortSignal;
  /** Port of the OTLP receiver, once it listens. */
  otlpPort(): number | null;
}
