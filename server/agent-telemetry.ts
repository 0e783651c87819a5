/**
 * What agents tell in passing, handed on to the collector: heartbeats, pools in their processes, log lines.
 * Sessions and runs are known by id only; their names come from the calls that this server has seen, and are
 * asked for where another server saw them.
 */

import type { Collector } from '../collector/service.ts';
import type {
  Assignment,
  HeartbeatRequest,
  LogLine,
  RegisterReply,
  RegisterRequest,
} from '../domain/agent-protocol.ts';
import { environmentOf, qualify } from '../domain/environment.ts';
import type { HeartbeatSample } from '../domain/events.ts';
import type { Clock } from '../domain/time.ts';
import type { Orchestrator } from '../orchestrator/service.ts';

const MAX_SESSIONS = 20_000;
const MAX_RUNS = 100_000;
const DEFAULT_INTERVAL_MS = 5_000;
/** Samples of heartbeats are handed on together: with ten thousand agents one by one costs as much as storing them. */
const GATHER_MS = 100;

interface Session {
  readonly name: string;
  readonly intervalMs: number;
}

interface Sources {
  readonly orchestrator: Orchestrator;
  readonly collector: Collector;
  readonly clock: Clock;
}

export function createAgentTelemetry({ orchestrator, collector, clock }: Sources) {
  const sessions = new Map<string, Session>();
  const workflows = new Map<string, string>();
  const beats = gather<HeartbeatSample>((all) => collector.recordHeartbeats(all));

  async function sessionOf(sessionId: string): Promise<Session> {
    const known = sessions.get(sessionId);
    if (known) return known;
    const agents = await orchestrator.agents.list();
    const name = agents.find(({ id }) => id === sessionId)?.name ?? sessionId;
    return keep(sessions, MAX_SESSIONS, sessionId, { name, intervalMs: DEFAULT_INTERVAL_MS });
  }

  async function workflowOf(runId: string): Promise<string> {
    const known = workflows.get(runId);
    if (known !== undefined) return known;
    const run = await orchestrator.runs.get(runId).catch(() => undefined);
    return keep(workflows, MAX_RUNS, runId, run?.workflow ?? '');
  }

  return {
    /** Registering is a first sign of life: an agent that dies before its first heartbeat is lost as well. */
    async registered({ name }: RegisterRequest, reply: RegisterReply): Promise<void> {
      const { sessionId: id, heartbeatEveryMs: intervalMs } = reply;
      keep(sessions, MAX_SESSIONS, id, { name, intervalMs });
      const beat = { at: clock.now(), kind: 'agent', id, name, state: 'online' } as const;
      await collector.recordHeartbeats([{ ...beat, running: 0, intervalMs }]);
    },
    assigned(assignments: readonly Assignment[]): void {
      for (const { runId, workflow, environment = null } of assignments) {
        keep(workflows, MAX_RUNS, runId, qualify(environment, workflow));
      }
    },
    async heartbeat(sessionId: string, report: HeartbeatRequest): Promise<void> {
      const at = clock.now();
      const { name, intervalMs } = await sessionOf(sessionId);
      const { running } = report;
      const beat = { at, kind: 'agent', id: sessionId, name, state: 'online' } as const;
      beats.add({ ...beat, running, intervalMs });
      if (report.pools.length === 0) return;
      await collector.recordPoolSamples(report.pools.map((pool) => poolSample(pool, at, name)));
    },
    async stopped(sessionId: string): Promise<void> {
      const { name, intervalMs } = await sessionOf(sessionId);
      const beat = { at: clock.now(), kind: 'agent', id: sessionId, name } as const;
      await collector.recordHeartbeats([{ ...beat, state: 'stopped', running: 0, intervalMs }]);
      sessions.delete(sessionId);
    },
    async logs(sessionId: string, lines: readonly LogLine[]): Promise<void> {
      if (lines.length === 0) return;
      const { name } = await sessionOf(sessionId);
      const runIds = [...new Set(lines.map(({ runId }) => runId))];
      const names = new Map(
        await Promise.all(runIds.map(async (id) => [id, await workflowOf(id)] as const)),
      );
      await collector.recordLogs(
        lines.map((line) => ({ ...line, workflow: names.get(line.runId) ?? '', agent: name })),
      );
    },
  };
}

/** Hands on what came within a moment, at once. */
function gather<T>(handOn: (all: readonly T[]) => Promise<void>) {
  let gathered: T[] = [];
  return {
    add(one: T): void {
      if (gathered.push(one) > 1) return;
      setTimeout(() => {
        const all = gathered;
        gathered = [];
        // The collector takes them without waiting, and tells itself what it had to drop.
        handOn(all).catch(() => undefined);
      }, GATHER_MS).unref();
    },
  };
}

export type AgentTelemetry = ReturnType<typeof createAgentTelemetry>;

function poolSample(pool: HeartbeatRequest['pools'][number], at: number, agent: string) {
  const { kind, server, used, idle, waiting, max, timeouts } = pool;
  const name = qualify(environmentOf(agent), pool.name);
  return {
    ...{ at, pool: name, kind, instance: agent, server: server ?? '' },
    ...{ used, idle, waiting, max, timeouts, reserved: 0, holders: '[]' },
  };
}

/** Keeps an entry; of a full map the oldest one leaves. */
function keep<T>(map: Map<string, T>, most: number, key: string, value: T): T {
  if (map.size >= most && !map.has(key)) {
    const [oldest] = map.keys();
    if (oldest !== undefined) map.delete(oldest);
  }
  map.set(key, value);
  return value;
}
