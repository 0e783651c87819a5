/**
 * Automated assets on a real PostgreSQL, with runs that an agent in this process makes, or that tests end by hand. The
 * tests of a file have one database after each other: making one takes longer than most of them, and events are read
 * only once that is over.
 */
import pg from 'pg';
import { afterAll } from 'vitest';
import type { AssetAutomation, AutomationEvaluation } from '../../../domain/automation.ts';
import type { Run } from '../../../domain/run.ts';
import { type Clock, systemClock } from '../../../domain/time.ts';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../../orchestrator/agent/start.ts';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { definitionsOf } from '../../../orchestrator/define/registry.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import type { TestPostgres } from '../../support/postgres.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type Stand, startDatabase, startStand } from '../dispatch/stand.ts';

export const ACTOR = { name: 'token:ann' };

export interface AutomationStand extends AsyncDisposable {
  readonly stand: Stand;
  readonly orchestrator: Orchestrator;
  register(...definitions: readonly Definition[]): Promise<void>;
  /** Starts an agent that makes these assets. */
  work(...definitions: readonly Definition[]): Promise<RunningAgent>;
  /** Looks until nothing more happened. */
  look(): Promise<void>;
  of(key: string): Promise<AssetAutomation>;
  /** The latest look at an asset, or at one partition. */
  current(key: string, partition?: string): Promise<AutomationEvaluation>;
  runsOf(workflow: string): Promise<readonly Run[]>;
  /** Reports a version that was made elsewhere. */
  report(key: string, partition?: string): Promise<void>;
  ended(runId: string): Promise<Run>;
  /** Looks until the asset is made by so many runs, or looked at with another outcome. */
  until<T>(what: string, look: () => Promise<T | false | null | undefined>): Promise<T>;
}

export async function startAutomationStand(clock: Clock = systemClock): Promise<AutomationStand> {
  const stand = await startStand({ clock, postgres: await emptyDatabase() });
  const { orchestrator } = stand;
  const agents: RunningAgent[] = [];
  let reported = 0;
  const look = () => lookUntilQuiet(stand);
  const of = (key: string) => orchestrator.automation.get(key);
  return {
    ...{ stand, orchestrator, look, of },
    async register(...definitions) {
      await orchestrator.workflows.register(definitionsOf(definitions).definitions, []);
    },
    async work(...definitions) {
      const agent = startAgent({
        transport: inProcessTransport(orchestrator.agents),
        definitions: definitionsOf(definitions),
        ...{ name: `agent ${agents.length}`, queues: ['default'], concurrency: 10, drainMs: 200 },
        log: () => {},
      });
      agents.push(agent);
      await waitFor(() => agent.sessionId());
      return agent;
    },
    async current(key, partition) {
      const { current } = await of(key);
      const found = current.find((one) => one.partition === (partition ?? null));
      if (!found) throw new Error(`nobody has looked at ${key} ${partition ?? ''}`);
      return found;
    },
    async runsOf(workflow) {
      return (await orchestrator.runs.list({ workflow })).items;
    },
    async report(key, partition) {
      reported += 1;
      await orchestrator.quality.reportMaterialization(
        key,
        { idempotencyKey: `report ${reported}`, ...(partition ? { partition } : {}) },
        ACTOR,
      );
    },
    ended: (runId) =>
      waitFor(
        async () => {
          const run = await orchestrator.runs.get(runId);
          return run.finishedAt !== null && run;
        },
        { what: `the end of run ${runId}` },
      ),
    until: (what, check) =>
      waitFor(
        async () => {
          await look();
          return check();
        },
        { what },
      ) as Promise<never>,
    async [Symbol.asyncDispose]() {
      await Promise.all(agents.map((agent) => agent.stop()));
      await stand[Symbol.asyncDispose]();
    },
  };
}

let database: TestPostgres | undefined;
afterAll(() => database?.stop());

/** The database of this file, as it was when it was made. */
async function emptyDatabase(): Promise<TestPostgres> {
  if (database === undefined) {
    database = await startDatabase();
    return database;
  }
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    // No trigger or key stands in the way of the order.
    await client.query('SET session_replication_role = replica');
    const { rows } = await client.query<{ name: string }>(
      `SELECT c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE n.nspname = 'signalbox' AND c.relkind IN ('r', 'p') AND NOT c.relispartition
         AND c.relname NOT IN ('migration', 'lineage_epoch')`,
    );
    await client.query(rows.map(({ name }) => `DELETE FROM signalbox.${name}`).join(';'));
  } finally {
    await client.end();
  }
  return database;
}

/** Events are read once no older transaction is under way. */
async function lookUntilQuiet(stand: Stand): Promise<void> {
  await waitFor(
    async () => {
      await stand.reconcile('automation');
      const [row] = await stand.sql<{ behind: string }>(
        `SELECT count(*) AS behind FROM signalbox.event_batch b, signalbox.follower f
         WHERE f.name = 'automation' AND (b.xid, b.id) > (split_part(f.watermark, ':', 1)::xid8,
           split_part(f.watermark, ':', 2)::bigint)`,
      );
      return row?.behind === '0';
    },
    { what: 'events that automation has not followed' },
  );
}
