/** An orchestrator on a database of its own, workflows in a word, and an agent that is driven by hand. */
import { readdir, readFile } from 'node:fs/promises';
import pg from 'pg';
import type {
  Assignment,
  Completion,
  CompletionOutcome,
  TaskDefinition,
  WorkflowDefinition,
} from '../../../domain/agent-protocol.ts';
import { type Clock, systemClock } from '../../../domain/time.ts';
import { createOrchestrator } from '../../../orchestrator/create.ts';
import type { BlobStore } from '../../../orchestrator/results/blob-store.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { startTestPostgres, type TestPostgres } from '../../support/postgres.ts';
import { taskOf, workflowOf } from '../definitions.ts';

const MIGRATIONS = new URL('../../../orchestrator/store/migrations/', import.meta.url);
const ACTOR = { name: 'token:test' };

async function prepare(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    for (const name of (await readdir(MIGRATIONS)).sort()) {
      await client.query(await readFile(new URL(name, MIGRATIONS), 'utf8'));
    }
  } finally {
    await client.end();
  }
}

export interface Stand extends AsyncDisposable {
  readonly postgres: TestPostgres;
  readonly orchestrator: Orchestrator;
  /** What was logged. */
  readonly logged: readonly string[];
  /** A second server on the same database. */
  another(): Promise<Orchestrator>;
  sql<Row extends pg.QueryResultRow>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Runs a reconciler once. */
  reconcile(name: string): Promise<void>;
}

/** A database with all tables, for one stand or for several after each other. */
export function startDatabase(): Promise<TestPostgres> {
  return startTestPostgres({ template: { name: 'orchestrator_dispatch', prepare } });
}

/** Starts an orchestrator. @param options.postgres stays when the stand goes; else it has a database of its own */
export async function startStand(
  options: {
    leaseMs?: number;
    clock?: Clock;
    resultStore?: BlobStore;
    postgres?: TestPostgres;
  } = {},
): Promise<Stand> {
  const postgres = options.postgres ?? (await startDatabase());
  const logged: string[] = [];
  const open: Orchestrator[] = [];
  const create = async () => {
    const orchestrator = await createOrchestrator({
      databaseUrl: postgres.url,
      clock: options.clock ?? systemClock,
      log: (message: string) => logged.push(message),
      poolSize: 8,
      ...(options.resultStore === undefined ? {} : { resultStore: options.resultStore }),
      ...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
    });
    open.push(orchestrator);
    return orchestrator;
  };
  const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
  const orchestrator = await create();
  return {
    postgres,
    orchestrator,
    logged,
    async another() {
      const other = await create();
      defined.set(other, definedIn(orchestrator));
      return other;
    },
    async sql<Row extends pg.QueryResultRow>(text: string, values: unknown[] = []) {
      return (await pool.query<Row>(text, values)).rows;
    },
    async reconcile(name) {
      const found = orchestrator.reconcilers.find((reconciler) => reconciler.name === name);
      if (!found) throw new Error(`there is no reconciler ${name}`);
      await found.run();
    },
    async [Symbol.asyncDispose]() {
      for (const each of open) await each.close();
      await pool.end();
      if (options.postgres === undefined) await postgres.stop();
    },
  };
}

type TaskInput = Partial<TaskDefinition> & { key: string };

/** A workflow of these tasks. */
export function workflow(
  name: string,
  tasks: readonly TaskInput[],
  options: Partial<WorkflowDefinition> = {},
): WorkflowDefinition {
  return workflowOf(name, { tasks: tasks.map((task) => taskOf(task.key, task)), ...options });
}

/** Tasks t0, t1, … each after the one before. */
export function chain(length: number): TaskInput[] {
  return Array.from({ length }, (_, index) => ({
    key: `t${index}`,
    after: index === 0 ? [] : [`t${index - 1}`],
  }));
}

/** Starts a run of the workflow. @returns its id */
export async function trigger(
  orchestrator: Orchestrator,
  name: string,
  request: Parameters<Orchestrator['runs']['trigger']>[1] = {},
): Promise<string> {
  return (await orchestrator.runs.trigger(name, request, ACTOR)).run.id;
}

/** What agents of a test defined so far, by their orchestrator; servers of one database share it. */
const defined = new WeakMap<Orchestrator, Map<string, WorkflowDefinition>>();

function definedIn(orchestrator: Orchestrator): Map<string, WorkflowDefinition> {
  const known = defined.get(orchestrator) ?? new Map<string, WorkflowDefinition>();
  defined.set(orchestrator, known);
  return known;
}

export type HandAgent = Awaited<ReturnType<typeof registerAgent>>;

/** An agent whose every step the test makes. It defines what agents before it did unless told. */
export async function registerAgent(
  orchestrator: Orchestrator,
  options: {
    name?: string;
    queues?: readonly string[];
    concurrency?: number;
    labels?: Readonly<Record<string, string>>;
    definitions?: readonly WorkflowDefinition[];
  } = {},
) {
  const { agents } = orchestrator;
  const known = definedIn(orchestrator);
  for (const one of options.definitions ?? []) known.set(one.name, one);
  const { sessionId, leaseMs } = await agents.register({
    name: options.name ?? 'hand',
    queues: options.queues ?? ['default'],
    concurrency: options.concurrency ?? 10,
    ...(options.labels ? { labels: options.labels } : {}),
    version: '1',
    definitions: options.definitions ?? [...known.values()],
    fileErrors: [],
  });
  const never = new AbortController().signal;
  const complete = (completions: readonly Completion[], take = 0) =>
    agents.complete(sessionId, { completions, take });
  return {
    sessionId,
    leaseMs,
    complete,
    claim: async (capacity = 100, waitMs = 0, signal = never): Promise<readonly Assignment[]> =>
      (await agents.claim(sessionId, { capacity, waitMs }, signal)).assignments,
    beat: (tokens?: readonly string[]) =>
      agents.heartbeat(sessionId, { running: 0, pools: [], ...(tokens ? { tokens } : {}) }),
    succeed: async (assignment: Assignment, result: unknown = null) =>
      outcomeOf(await complete([ended(assignment, 'succeeded', { result })])),
    fail: async (assignment: Assignment, more: Partial<Completion> = {}) =>
      outcomeOf(await complete([ended(assignment, 'failed', more)])),
    stop: () => agents.stop(sessionId),
  };
}

function outcomeOf(reply: { outcomes: readonly CompletionOutcome[] }) {
  return reply.outcomes[0]?.outcome;
}

/** The end of an assignment. */
export function ended(
  { runId, taskKey, token }: Assignment,
  state: Completion['state'],
  more: Partial<Completion> = {},
): Completion {
  return {
    ...{ runId, taskKey, token, state, startedAt: Date.now(), finishedAt: Date.now() },
    ...(state === 'failed' ? { error: { name: 'Error', message: 'it broke' } } : {}),
    ...more,
  };
}

/** Works until nothing is ready any more. @returns keys in the order in which they were done */
export async function workOff(agent: HandAgent, waitMs = 0): Promise<string[]> {
  const done: string[] = [];
  let assignments = await agent.claim(1_000, waitMs);
  while (assignments.length > 0) {
    done.push(...assignments.map(({ taskKey }) => taskKey));
    const reply = await agent.complete(
      assignments.map((assignment) =>
        ended(assignment, 'succeeded', { result: assignment.taskKey }),
      ),
      1_000,
    );
    assignments =
      reply.assignments.length > 0 ? reply.assignments : await agent.claim(1_000, waitMs);
  }
  return done;
}

/** First of an array that must not be empty. */
export function first<T>(items: readonly T[]): T {
  const [item] = items;
  if (item === undefined) throw new Error('there is nothing');
  return item;
}
