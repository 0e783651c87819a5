/**
 * What a runbook can reach: one narrow interface over the engines, the orchestrator, and watched servers.
 * Each change takes the value that the plan saw and refuses (`state-changed`) where it is no longer so.
 */
import type { Agent } from './agent.ts';
import type { Asset, Materialization } from './asset.ts';
import type { Pool } from './pool.ts';
import type { Run, RunState, Task } from './run.ts';

export type Changed<T> =
  | ({ readonly outcome: 'done' | 'already-so' } & T)
  | { readonly outcome: 'state-changed'; readonly found: unknown };

export interface RunFilter {
  readonly workflow?: string;
  readonly engine?: string;
  readonly states?: readonly RunState[];
  readonly businessKey?: string;
  readonly limit?: number;
}

export interface RunLevers {
  list(filter: RunFilter): Promise<readonly Run[]>;
  get(id: string): Promise<Run | null>;
  tasks(id: string): Promise<readonly Task[]>;
  /** Whether an agent with a valid lease works on it now. */
  holdsLease(id: string): Promise<boolean>;
  /** Slots and leases that the run still holds: 0 once a cancellation is confirmed. */
  heldSlots(id: string): Promise<number>;
  /** Requests cancellation; the run is `cancelled` only once its tasks have ended. */
  cancel(
    id: string,
    reason: string,
    expected: { states: readonly RunState[] },
  ): Promise<Changed<{ run: Run }>>;
  trigger(
    workflow: string,
    parameters: Record<string, unknown>,
    idempotencyKey: string,
  ): Promise<Run>;
}

export interface AssetLevers {
  get(key: string): Promise<Asset | null>;
  /** Keys up to `depth` levels down, nearest first, in dependency order. */
  downstream(key: string, depth: number): Promise<readonly string[]>;
  lastGood(key: string): Promise<Materialization | null>;
  /** Serves the last good version with provenance `fallback`; idempotent under `idempotencyKey`. */
  serveFallback(
    key: string,
    reason: string,
    idempotencyKey: string,
  ): Promise<Changed<{ materialization: Materialization }>>;
  /** Starts one run that materializes these assets in dependency order. */
  materialize(keys: readonly string[], idempotencyKey: string): Promise<Run>;
}

/** A session of a watched PostgreSQL server. */
export interface ServerSession {
  readonly pid: number;
  readonly backendStart: string;
  readonly role: string;
  readonly application: string;
  readonly state: string;
  readonly stateSeconds: number;
  readonly transactionSeconds: number | null;
  readonly blockedBy: readonly number[];
}

/** The connection budget of a server: what may be given out, and who has been promised how much. */
export interface ConnectionBudget {
  readonly server: string;
  readonly maxConnections: number;
  readonly reserved: number;
  /** Ceilings of the known client pools on this server, summed over their agents. */
  readonly committed: number;
  readonly open: number;
  readonly pools: readonly { name: string; max: number; instances: number }[];
}

export interface PoolLevers {
  get(name: string): Promise<Pool | null>;
  /** Server that a client pool connects to; null where it is not known. */
  serverOf(pool: string): Promise<string | null>;
  budget(server: string): Promise<ConnectionBudget>;
  setMax(name: string, max: number, expectedMax: number): Promise<Changed<{ pool: Pool }>>;
  sessions(server: string): Promise<readonly ServerSession[]>;
  /** Ends these sessions where pid, backend start and state are still what the plan saw. Returns what was ended and what had changed. */
  terminate(
    server: string,
    sessions: readonly Pick<ServerSession, 'pid' | 'backendStart' | 'state'>[],
  ): Promise<{ ended: readonly number[]; changed: readonly number[] }>;
  roleConnectionLimit(server: string, role: string): Promise<number>;
  /** Slows what fills the server. −1 takes the limit away. */
  setRoleConnectionLimit(
    server: string,
    role: string,
    limit: number,
    expected: number,
  ): Promise<Changed<{ limit: number }>>;
}

export interface AgentLevers {
  list(): Promise<readonly Agent[]>;
  /** Running tasks whose holder's lease is over and that nobody has taken back yet. */
  orphanedTasks(agentId: string): Promise<number>;
  /** Takes back what a lost agent held, so that another may run it; refused while the lease lasts. */
  requeueLost(agentId: string): Promise<Changed<{ requeued: number }>>;
}

export interface Levers {
  readonly runs: RunLevers;
  readonly assets: AssetLevers;
  readonly pools: PoolLevers;
  readonly agents: AgentLevers;
}
