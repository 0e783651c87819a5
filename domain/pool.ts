/** Pools of anything that is limited: task slots of the orchestrator, connections of a client, a server, a bouncer. */

const POOL_KINDS = [
  'task-slots',
  'postgres-client',
  'postgres-server',
  'pgbouncer',
  'otel',
] as const;
export type PoolKind = (typeof POOL_KINDS)[number] | (string & {});

/** A pool at a moment. `used + idle` are open; `waiting` stand in the queue. */
export interface Pool {
  readonly name: string;
  /** Service that the pool belongs to, where pools of different services may share a name (`otel`). */
  readonly instance?: string;
  readonly kind: PoolKind;
  readonly used: number;
  readonly idle: number;
  readonly waiting: number;
  readonly max: number | null;
  readonly at: string | null;
  /** False for a pool of task slots that tasks name and nobody created: it limits nothing (`max` is null). */
  readonly created?: boolean;
  /** Workflows whose tasks name a pool that nobody created; the first twenty by name. */
  readonly namedBy?: readonly string[];
}

/** What is told of a pool that tasks name and nobody created. @param name without its environment */
export function uncreatedPoolNotice(
  name: string,
  namedBy: readonly string[],
  environment: string | null = null,
): string {
  const by = namedBy.length === 0 ? '' : ` (named by ${namedBy.join(', ')})`;
  return `the pool ${name}${by} limits nothing: nobody created it. Create it: ${createPoolCommand(name, environment)}`;
}

/** What creates a pool on the command line. @param name without its environment */
export function createPoolCommand(name: string, environment: string | null = null): string {
  const where = environment === null ? '' : ` --environment ${environment}`;
  // In double quotes a shell would run what stands in $(…).
  const quoted = /^[\w./-]+$/.test(name) ? name : `'${name.replaceAll("'", `'\\''`)}'`;
  return `signalbox pools set ${quoted} --max 10${where}`;
}

/** Who holds connections of a PostgreSQL server: one group for each role, application and state. */
export interface PoolHolder {
  readonly role: string;
  readonly application: string;
  readonly state: string;
  readonly count: number;
  /** Age of the oldest transaction of the group in seconds; 0 where none is open. */
  readonly oldestTransactionSeconds: number;
  readonly blockedBy: number;
}
