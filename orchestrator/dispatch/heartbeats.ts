/**
 * Heartbeats of all agents of this server are gathered and stored together, so that ten thousand agents cost a
 * few statements a second. The answer tells what to cancel and how large pools may be.
 */
import type { HeartbeatReply, HeartbeatRequest } from '../../domain/agent-protocol.ts';
import type { RunInfos } from '../runs/run-info.ts';
import { type Beat, findCancelling, type HeldTask, renewLeases } from '../store/agent-session.ts';
import type { Db } from '../store/connection.ts';
import type { KnownSession } from './sessions.ts';

export interface HeartbeatDeps {
  readonly db: Db;
  readonly infos: RunInfos;
  readonly leaseMs: number;
  ceilings(): Promise<Readonly<Record<string, number>>>;
}

export interface Heartbeats {
  beat(session: KnownSession, report: HeartbeatRequest): Promise<HeartbeatReply>;
  /** Whether it is time, once a lease, to compare what the session holds with what it knows of. */
  shouldCompare(sessionId: string): boolean;
  /** What these sessions hold and must cancel. */
  cancelsOf(sessionIds: readonly string[]): Promise<Map<string, HeartbeatReply['cancel']>>;
}

const GATHER_MS = 10;
/** Sessions that are kept in mind; older ones are compared once too often. */
const MAX_COMPARED = 50_000;

interface Waiting extends Beat {
  readonly answer: (reply: HeartbeatReply) => void;
  readonly failed: (error: unknown) => void;
}

export function createHeartbeats(deps: HeartbeatDeps): Heartbeats {
  let waiting = new Map<string, Waiting[]>();
  let flushing = false;

  async function flush(): Promise<void> {
    while (waiting.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
      const batch = waiting;
      waiting = new Map();
      try {
        await store(batch);
      } catch (error) {
        for (const beat of [...batch.values()].flat()) beat.failed(error);
      }
    }
    flushing = false;
  }

  async function store(batch: ReadonlyMap<string, readonly Waiting[]>): Promise<void> {
    // The newest of each session tells how it stands.
    const beats = [...batch.values()].flatMap((all) => all.slice(-1));
    const alive = await renewLeases(deps.db, beats, deps.leaseMs);
    const [cancels, pools] = await Promise.all([cancelsOf([...alive]), deps.ceilings()]);
    for (const [sessionId, all] of batch) {
      const reply = {
        leaseExpiresInMs: alive.has(sessionId) ? deps.leaseMs : 0,
        cancel: cancels.get(sessionId) ?? [],
        pools,
        sessionValid: alive.has(sessionId),
      };
      for (const { answer } of all) answer(reply);
    }
  }

  async function cancelsOf(
    sessionIds: readonly string[],
  ): Promise<Map<string, HeartbeatReply['cancel']>> {
    if (sessionIds.length === 0) return new Map();
    const held = await findCancelling(deps.db, sessionIds);
    await deps.infos.loadTasks(deps.db, held);
    return new Map(
      [...Map.groupBy(held, ({ sessionId }) => sessionId)].map(([sessionId, tasks]) => [
        sessionId,
        tasks.map((task) => toCancel(deps.infos, task)),
      ]),
    );
  }

  return {
    beat: (session, { running, pools }) =>
      new Promise((answer, failed) => {
        const all = waiting.get(session.id) ?? [];
        all.push({ sessionId: session.id, running, pools, answer, failed });
        waiting.set(session.id, all);
        if (flushing) return;
        flushing = true;
        void flush();
      }),
    shouldCompare: everySoOften(deps.leaseMs),
    cancelsOf,
  };
}

/** Says yes once in a time for each session. */
function everySoOften(everyMs: number): (sessionId: string) => boolean {
  const last = new Map<string, number>();
  return (sessionId) => {
    const now = performance.now();
    if (now - (last.get(sessionId) ?? Number.NEGATIVE_INFINITY) < everyMs) return false;
    if (last.size >= MAX_COMPARED) last.clear();
    last.set(sessionId, now);
    return true;
  };
}

function toCancel(infos: RunInfos, { runId, task, token, reason }: HeldTask) {
  return {
    runId,
    taskKey: infos.get(runId)?.version.tasks[task]?.key ?? '',
    token,
    reason: reason ?? '',
  };
}
