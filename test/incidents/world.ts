/**
 * Incidents on a real PostgreSQL, with telemetry that the test says (which agents are lost) and a runbook that
 * the test watches. The flow that carries an execution is as durable as the real one: steps are recorded by
 * run, and a crash is a step that never returns.
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import type { DetectorQuery, QueryRows } from '../../domain/finding.ts';
import type { Incident } from '../../domain/incident.ts';
import type { Levers } from '../../domain/levers.ts';
import type { Run, RunState } from '../../domain/run.ts';
import type { ActContext, Plan, Runbook } from '../../domain/runbook.ts';
import { manualClock } from '../../domain/time.ts';
import { createIncidents } from '../../incidents/create.ts';
import { startTestPostgres } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';

const MIGRATIONS = join(import.meta.dirname, '../../incidents/store/migrations');
const T0 = Date.UTC(2026, 0, 5, 12);
const DETECT_ANEW = { leaseMs: 4_000, everyMs: 1_000 };

const template = {
  name: 'incidents',
  async prepare(url: string) {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    for (const file of (await readdir(MIGRATIONS)).toSorted()) {
      await client.query(await readFile(join(MIGRATIONS, file), 'utf8'));
    }
    await client.end();
  },
};

export type World = Awaited<ReturnType<typeof startWorld>>;

/** What the watched runbook is to do; a test changes it as it goes. */
export interface Script {
  calls: readonly string[];
  refusal: string | null;
  act(context: ActContext): Promise<void>;
  confirms: boolean;
}

function planFor(script: Script): Plan {
  return {
    ...{ runbook: 'watched', version: '1', diagnosis: 'held-work', reasons: ['test'] },
    calls: script.calls.map((key) => ({
      ...{ key, summary: `call ${key}`, lever: 'agents.requeueLost', arguments: { key } },
      ...{ before: 1, after: 0, undo: `take ${key} back` },
    })),
    ...{ affected: [], owners: [], refusal: script.refusal },
  };
}

function usualScript(made: string[]): Script {
  const script: Script = {
    calls: ['one'],
    refusal: null,
    confirms: true,
    async act(context) {
      for (const key of script.calls) {
        await context.step(key, async () => made.push(key));
        await context.report({ key, ok: true, outcome: 'done', detail: {} });
      }
    },
  };
  return script;
}

function watchedRunbook(script: Script, made: string[]): Runbook {
  return {
    ...{ id: 'watched', version: '1', title: 'Watched', summary: 'Does what the test says' },
    ...{ kinds: ['agent-lost'], defaultMode: 'auto', parameters: {} },
    guardrails: { cooldownMs: 0, budgetPerHour: 100, maxCalls: 10, stopAfterFailures: 3 },
    handles: () => true,
    plan: async () => planFor(script),
    act: (context) => script.act(context),
    confirm: async () => ({ ok: script.confirms, detail: '' }),
    async undo(context, plan) {
      for (const { key } of plan.calls) {
        await context.step(key, async () => made.push(`undo ${key}`));
      }
    },
  };
}

export async function startWorld(patch: Partial<Runbook> = {}) {
  const postgres = await startTestPostgres({ template });
  const db = new pg.Pool({ connectionString: postgres.url, max: 5 });
  let connections = 0;
  db.on('connect', () => connections++).on('remove', () => connections--);
  const clock = manualClock(T0);
  const lost = new Set<string>();
  const made: string[] = [];
  const events: Readonly<Record<string, unknown>>[] = [];
  const started = new Map<string, { executionId: string; steps: Map<string, unknown> }>();
  const runStates = new Map<string, RunState>();
  const state = { clickhouse: 'up' as 'up' | 'down' | 'silent' };
  const script = usualScript(made);
  const runbook = { ...watchedRunbook(script, made), ...patch };
  const open = () =>
    createIncidents({
      ...{ db, clock, runbooks: [runbook], ...DETECT_ANEW },
      query: async (query) => answer(query, { lost, state, now: clock.now() }),
      context: async () => [],
      levers: { runs: { get: async (id: string) => runOf(runStates, id) } } as Levers,
      async startRun(executionId, key) {
        if (!started.has(key)) started.set(key, { executionId, steps: new Map() });
        return { runId: key };
      },
      async recordEvent(event) {
        events.push(event);
      },
      log: () => {},
    });
  const incidents = open();
  return {
    ...{ db, clock, lost, made, events, started, runStates, state, script, incidents, open },
    /** One round of detection and one of response, by this server or another. */
    async round(server = incidents, advanceMs = 1_000) {
      clock.advance(advanceMs);
      for (const reconciler of server.reconcilers) await reconciler.run();
    },
    async rounds(count: number, advanceMs = 1_000) {
      for (let made = 0; made < count; made++) await this.round(incidents, advanceMs);
    },
    /** Runs all flows that were started and have not ended, with the steps they recorded. */
    async flows(crashAt?: string) {
      for (const { executionId, steps } of started.values()) {
        await incidents.runExecution(executionId, {
          signal: new AbortController().signal,
          step: (key, work) => recorded(steps, key, work, crashAt),
        });
      }
    },
    async only(): Promise<Incident> {
      const { items } = await incidents.list({});
      if (items.length !== 1) throw new Error(`there are ${items.length} incidents`);
      return items[0] as Incident;
    },
    async [Symbol.asyncDispose]() {
      await db.end();
      // A connection that is still closing when its database is dropped would say so with an error.
      await waitFor(() => connections === 0);
      await postgres.stop();
    },
  };
}

/** A run of a flow; it goes on unless the test says how it ended. */
function runOf(states: ReadonlyMap<string, RunState>, id: string) {
  return { id, state: states.get(id) ?? 'running' } as Run;
}

async function recorded<T>(
  steps: Map<string, unknown>,
  key: string,
  work: () => Promise<T>,
  crashAt: string | undefined,
): Promise<T> {
  if (!steps.has(key)) {
    if (key === crashAt) throw new Error('the process died');
    steps.set(key, await work());
  }
  return steps.get(key) as T;
}

interface Said {
  readonly lost: ReadonlySet<string>;
  readonly state: { readonly clickhouse: 'up' | 'down' | 'silent' };
  readonly now: number;
}

/** Heartbeats: `steady` goes on, those in `lost` stopped ten seconds ago. All else was never seen. */
function answer({ sql }: DetectorQuery, { lost, state, now }: Said): QueryRows {
  if (state.clickhouse === 'down') throw new Error('ClickHouse does not answer');
  if (state.clickhouse === 'silent') return [];
  if (!sql.includes('agent_name')) return [];
  const session = (name: string, lastAt: number) => ({
    ...{ id: name, agent_name: name, first_ms: T0 - 60_000, last_ms: lastAt },
    ...{ last_state: 'online', last_running: 2, every_ms: 1_000 },
  });
  return [session('steady', now), ...[...lost].map((name) => session(name, now - 10_000))];
}
