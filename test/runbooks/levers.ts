/** Levers over a world in memory that the test sets up, and an action whose steps are run at once. */
import type { Asset } from '../../domain/asset.ts';
import type { Finding } from '../../domain/finding.ts';
import type { Incident } from '../../domain/incident.ts';
import type { ConnectionBudget, Levers, ServerSession } from '../../domain/levers.ts';
import type { Pool } from '../../domain/pool.ts';
import type { Run, Task } from '../../domain/run.ts';
import type { ActContext, CallResult } from '../../domain/runbook.ts';
import { manualClock } from '../../domain/time.ts';

export interface MemoryWorld {
  runs: Run[];
  tasks: Record<string, Task[]>;
  leases: Set<string>;
  pools: Pool[];
  budget: ConnectionBudget;
  sessions: ServerSession[];
  roleLimits: Record<string, number>;
  assets: Record<string, Asset>;
  downstream: Record<string, readonly string[]>;
  /** Whether the source of assets answers. */
  sourceUp: boolean;
  materialized: string[][];
}

export function memoryWorld(patch: Partial<MemoryWorld> = {}): MemoryWorld {
  const budget = {
    server: 'db',
    maxConnections: 100,
    reserved: 3,
    committed: 0,
    open: 0,
    pools: [],
  };
  return {
    ...{ runs: [], tasks: {}, leases: new Set<string>(), pools: [], budget, sessions: [] },
    ...{ roleLimits: {}, assets: {}, downstream: {}, sourceUp: true, materialized: [] },
    ...patch,
  };
}

function leversOf(world: MemoryWorld): Levers {
  return {
    runs: {
      async list({ businessKey, states }) {
        return world.runs.filter(
          (run) => run.businessKey === businessKey && (states ?? [run.state]).includes(run.state),
        );
      },
      get: async (id) => world.runs.find((run) => run.id === id) ?? null,
      tasks: async (id) => world.tasks[id] ?? [],
      holdsLease: async (id) => world.leases.has(id),
      heldSlots: async (id) => (world.leases.has(id) ? 1 : 0),
      async cancel(id, _reason, { states }) {
        const run = world.runs.find((one) => one.id === id);
        if (!run || !states.includes(run.state)) {
          return { outcome: 'state-changed', found: run?.state };
        }
        const cancelled: Run = { ...run, state: 'cancelled' };
        world.runs = world.runs.map((one) => (one.id === id ? cancelled : one));
        world.leases.delete(id);
        return { outcome: 'done', run: cancelled };
      },
      trigger: () => Promise.reject(new Error('no runbook here triggers a workflow')),
    },
    assets: assetLevers(world),
    pools: poolLevers(world),
    agents: {
      list: async () => [],
      orphanedTasks: async () => 0,
      requeueLost: async () => ({ outcome: 'already-so', requeued: 0 }),
    },
  };
}

function assetLevers(world: MemoryWorld): Levers['assets'] {
  return {
    get: async (key) => world.assets[key] ?? null,
    downstream: async (key) => world.downstream[key] ?? [],
    lastGood: async (key) => world.assets[key]?.lastMaterialization ?? null,
    async serveFallback(key) {
      const asset = world.assets[key];
      if (!asset?.lastMaterialization) return { outcome: 'state-changed', found: null };
      world.assets[key] = { ...asset, freshness: 'degraded' };
      return { outcome: 'done', materialization: asset.lastMaterialization };
    },
    async materialize(keys) {
      world.materialized.push([...keys]);
      const state = world.sourceUp ? 'succeeded' : 'failed';
      const run = someRun({ id: `run-${world.materialized.length}`, state });
      world.runs = [...world.runs, run];
      for (const key of keys) {
        const asset = world.assets[key];
        if (asset && world.sourceUp) world.assets[key] = { ...asset, freshness: 'fresh' };
      }
      return run;
    },
  };
}

function poolLevers(world: MemoryWorld): Levers['pools'] {
  return {
    get: async (name) => world.pools.find((pool) => pool.name === name) ?? null,
    serverOf: async () => 'db',
    budget: async () => world.budget,
    async setMax(name, max, expected) {
      const pool = world.pools.find((one) => one.name === name);
      if (!pool || pool.max !== expected) return { outcome: 'state-changed', found: pool?.max };
      const changed = { ...pool, max };
      world.pools = world.pools.map((one) => (one.name === name ? changed : one));
      return { outcome: 'done', pool: changed };
    },
    sessions: async () => world.sessions,
    async terminate(_server, sessions) {
      const same = (one: (typeof sessions)[number]) =>
        world.sessions.some((live) => live.pid === one.pid && live.state === one.state);
      const ended = sessions.filter(same).map(({ pid }) => pid);
      world.sessions = world.sessions.filter(({ pid }) => !ended.includes(pid));
      const changed = sessions.map(({ pid }) => pid).filter((pid) => !ended.includes(pid));
      return { ended, changed };
    },
    roleConnectionLimit: async (_server, role) => world.roleLimits[role] ?? -1,
    async setRoleConnectionLimit(_server, role, limit, expected) {
      const found = world.roleLimits[role] ?? -1;
      if (found !== expected) return { outcome: 'state-changed', found };
      world.roleLimits[role] = limit;
      return { outcome: 'done', limit };
    },
  };
}

export function someRun(patch: Partial<Run> & { id: string }): Run {
  return {
    ...{ workflow: 'charge', engine: 'signalbox', state: 'queued', parameters: { order: 1 } },
    ...{ logicalDate: null, dataInterval: null, trigger: 'manual', priority: 0 },
    ...{ idempotencyKey: null, businessKey: 'k', parentRunId: null, retryOf: null },
    ...{ traceId: null, createdAt: '2026-01-05T12:00:00.000Z', startedAt: null },
    ...{ finishedAt: null, error: null },
    ...patch,
  };
}

export function someSession(patch: Partial<ServerSession> & { pid: number }): ServerSession {
  return {
    ...{ backendStart: '2026-01-05T12:00:00.000000Z', role: 'leaky', application: 'sync' },
    ...{ state: 'idle in transaction', stateSeconds: 5, transactionSeconds: 5, blockedBy: [] },
    ...patch,
  };
}

export interface Acting extends ActContext {
  readonly results: Omit<CallResult, 'at'>[];
  readonly stages: string[];
}

/** What a runbook is given: the incident, and an action that waits by moving the clock. */
export function actingOn(world: MemoryWorld, incident: Partial<Incident>): Acting {
  const clock = manualClock(Date.UTC(2026, 0, 5, 12));
  const results: Acting['results'] = [];
  const stages: string[] = [];
  const whole = { subjects: [], affected: [], evidence: [], title: 'trouble', ...incident };
  return {
    incident: whole as unknown as Incident,
    findings: [whole as unknown as Finding],
    ...{ parameters: {}, levers: leversOf(world), now: clock.now(), clock, results, stages },
    ...{ signal: new AbortController().signal, executionId: 'x' },
    step: (_key, work) => work(),
    async waitUntil(_key, condition, limitMs) {
      for (let waitedMs = 0; waitedMs <= limitMs; waitedMs += 1_000) {
        if (await condition()) return true;
        clock.advance(1_000);
      }
      return false;
    },
    async report(result) {
      results.push(result);
    },
    async mitigated(reason) {
      stages.push(reason);
    },
  };
}
