/** Production and branches beside each other: agents of one server that run the same names with other code. */
import { type EnvironmentRequest, qualify } from '../../../domain/environment.ts';
import type { Run } from '../../../domain/run.ts';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../../orchestrator/agent/start.ts';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { definitionsOf } from '../../../orchestrator/define/registry.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

export const ACTOR = { name: 'token:test' };

export interface EnvironmentStand extends AsyncDisposable {
  readonly base: AgentStand;
  /** Makes an environment. */
  create(name: string, request?: Omit<EnvironmentRequest, 'name'>): Promise<void>;
  /** Starts an agent of an environment (null: of production). */
  agent(
    environment: string | null,
    definitions: readonly Definition[],
    name?: string,
  ): Promise<RunningAgent>;
  /** Runs a workflow to its end. */
  run(environment: string | null, workflow: string): Promise<Run>;
  /** Makes assets, to the end of the run. */
  make(
    environment: string | null,
    key: string,
    options?: { readonly upstream?: boolean; readonly downstream?: boolean },
  ): Promise<Run>;
  /** Deletes an environment, and lets the background step do it until it is gone. */
  gone(name: string): Promise<void>;
  /** Rows of each table that has any. */
  counts(): Promise<Record<string, number>>;
}

/** Tables whose rows come and go by themselves, whatever is done. */
const PASSING = new Set(['event_batch', 'gate_due', 'lineage_epoch', 'follower', 'label_set']);

export async function startEnvironments(
  options: Parameters<typeof startAgentStand>[0] = {},
): Promise<EnvironmentStand> {
  const base = await startAgentStand(options);
  const { stand } = base;
  const { orchestrator } = stand;
  const agents: RunningAgent[] = [];
  return {
    base,
    async create(name, request = {}) {
      await orchestrator.environments.save({ ...request, name }, ACTOR);
    },
    async agent(environment, definitions, name = environment ?? 'production') {
      const agent = startAgent({
        transport: inProcessTransport(orchestrator.agents),
        definitions: definitionsOf(definitions),
        ...(environment === null ? {} : { environment }),
        ...{ name, queues: ['default'], concurrency: 10, drainMs: 200 },
        log: (message) => base.told.push(message),
      });
      agents.push(agent);
      await waitFor(() => agent.sessionId(), { what: `the registration of ${name}` });
      return agent;
    },
    run: (environment, workflow) => base.run(qualify(environment, workflow)),
    async make(environment, key, request = {}) {
      const stored = qualify(environment, key);
      const { id } = await orchestrator.assets.materialize([stored], request, ACTOR);
      return base.ended(id);
    },
    async gone(name) {
      await orchestrator.environments.delete(name, ACTOR);
      await waitFor(
        async () => {
          await stand.reconcile('environments');
          const left = await stand.sql('SELECT FROM signalbox.environment WHERE name = $1', [name]);
          return left.length === 0;
        },
        { what: `the deletion of ${name}`, timeoutMs: 15_000 },
      );
    },
    async counts() {
      const tables = await stand.sql<{ name: string }>(
        `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'signalbox' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1`,
      );
      const counts: Record<string, number> = {};
      for (const { name } of tables) {
        if (PASSING.has(name)) continue;
        const [row] = await stand.sql<{ count: number }>(
          `SELECT count(*)::int AS count FROM signalbox.${name}`,
        );
        if (row && row.count > 0) counts[name] = row.count;
      }
      return counts;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(agents.map((agent) => agent.stop()));
      await base[Symbol.asyncDispose]();
    },
  };
}
