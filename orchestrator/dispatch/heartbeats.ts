/**
 * Heartbeats of all agents of this server are gathered and stored together, so that ten thousand agents cost a
 * few statements a second. The answer tells what to cancel and how large pools may be. Whether a session is still open is
 * told by the renewal itself; that it holds what it knows of is compared for all of a moment together.
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
  /** Takes back what these sessions are taken to hold and do not know of: tokens that each holds, by session. */
  compare(held: ReadonlyMap<string, readonly string[]>): Promise<void>;
  ceilings(): Promise<Readonly<Record<string, number>>>;
}

export interface Heartbeats {
  beat(session: KnownSession, report: HeartbeatRequest): Promise<HeartbeatReply>;
  /** What these sessions hold and must cancel. */
  cancelsOf(sessionIds: readonly string[]): Promise<Map<string, HeartbeatReply['cancel']>>;
}

/** Beats come for so long before they are stored together: a small share of a lease. */
const GATHERS_A_LEASE = 300;
const GATHER_MS = { least: 10, most: 100 };
/** Sessions that are kept in mind; older ones are compared once too often. */
const MAX_COMPARED = 50_000;

interface Waiting extends Beat {
  readonly tokens: readonly string[] | undefined;
  readonly answer: (reply: HeartbeatReply) => void;
  readonly failed: (error: unknown) => void;
}

function gatherMsOf(leaseMs: number): number {
  return Math.min(GATHER_MS.most, Math.max(GATHER_MS.least, leaseMs / GATHERS_A_LEASE));
}

export function createHeartbeats(deps: HeartbeatDeps): Heartbeats {
  let waiting = new Map<string, Waiting[]>();
  let flushing = false;
  const shouldCompare = everySoOften(deps.leaseMs);
  const gatherMs = gatherMsOf(deps.leaseMs);

  async function flush(): Promise<void> {
    while (waiting.size > 0) {
      await new Promise((resolve) => setTimeout(resolve, gatherMs));
      const batch = waiting;
      waiting = new Map();
      try {
        await store(batch);
      } catch (error) {
        failAll([...batch.values()].flat(), error);
      }
    }
    flushing = false;
  }

  async function store(batch: ReadonlyMap<string, readonly Waiting[]>): Promise<void> {
    // The newest of each session tells how it stands.
    const beats = [...batch.values()].flatMap((all) => all.slice(-1));
    const alive = await renewLeases(deps.db, beats, deps.leaseMs);
    const [cancels, pools] = await Promise.all([cancelsOf(deps, [...alive]), deps.ceilings()]);
    const due = new Map<string, readonly string[]>();
    const told: (() => void)[] = [];
    for (const [sessionId, all] of batch) {
      const reply = {
        leaseExpiresInMs: alive.has(sessionId) ? deps.leaseMs : 0,
        cancel: cancels.get(sessionId) ?? [],
        pools,
        sessionValid: alive.has(sessionId),
      };
      const tell = () => {
        for (const { answer } of all) answer(reply);
      };
      const tokens = all.at(-1)?.tokens;
      if (reply.sessionValid && tokens && shouldCompare(sessionId)) {
        due.set(sessionId, tokens);
        told.push(tell);
      } else tell();
    }
    if (due.size === 0) return;
    // What comes meanwhile must not wait for this.
    deps.compare(due).then(
      () => {
        for (const tell of told) tell();
      },
      (error: unknown) =>
        failAll(
          [...due.keys()].flatMap((id) => batch.get(id) ?? []),
          error,
        ),
    );
  }

  return {
    beat: (session, { running, pools, tokens }) =>
      new Promise((answer, failed) => {
        const all = waiting.get(session.id) ?? [];
        all.push({ sessionId: session.id, running, pools, tokens, answer, failed });
        waiting.set(session.id, all);
        if (flushing) return;
        flushing = true;
        void flush();
      }),
    cancelsOf: (sessionIds) => cancelsOf(deps, sessionIds),
  };
}

async function cancelsOf(
  { db, infos }: HeartbeatDeps,
  sessionIds: readonly string[],
): Promise<Map<string, HeartbeatReply['cancel']>> {
  if (sessionIds.length === 0) return new Map();
  const held = await findCancelling(db, sessionIds);
  await infos.loadTasks(db, held);
  return new Map(
    [...Map.groupBy(held, ({ sessionId }) => sessionId)].map(([sessionId, tasks]) => [
      sessionId,
      tasks.map((task) => toCancel(infos, task)),
    ]),
  );
}

function failAll(beats: readonly Waiting[], error: unknown): void {
  for (const { failed } of beats) failed(error);
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
