/**
 * Agents that fell silent without saying goodbye. Judged by the age of the last heartbeat against the agent's
 * own interval and the lease; a session whose agent came back under the same name is not lost.
 */
import type { Detector, DetectorContext, Finding, QueryRows } from '../../domain/finding.ts';
import { evidenceOf, num, type Row, setting, text } from './rows.ts';

const ID = { id: 'agent-lost', version: '1' } as const;

const DEFAULTS = {
  leaseMs: 30_000,
  missedHeartbeats: 3,
  graceMs: 1_000,
  windowMs: 3_600_000,
  holdMs: 5_000,
  verifyLimitMs: 120_000,
} as const;

const SESSIONS_SQL = `
SELECT id, argMax(name, at) AS agent_name, toUnixTimestamp64Milli(min(at)) AS first_ms,
       toUnixTimestamp64Milli(max(at)) AS last_ms, argMax(state, at) AS last_state,
       argMax(running, at) AS last_running, argMax(interval_ms, at) AS every_ms
FROM signalbox.heartbeats
WHERE kind = 'agent' AND at > fromUnixTimestamp64Milli({from:Int64}) AND at <= fromUnixTimestamp64Milli({to:Int64})
GROUP BY id
ORDER BY last_ms DESC
LIMIT 10000`;

const FRESHEST_SQL = `
SELECT toUnixTimestamp64Milli(greatest(
  (SELECT max(at) FROM signalbox.pool_samples
   WHERE at > fromUnixTimestamp64Milli({from:Int64}) AND at <= fromUnixTimestamp64Milli({to:Int64})),
  (SELECT max(at) FROM signalbox.heartbeats
   WHERE at > fromUnixTimestamp64Milli({from:Int64}) AND at <= fromUnixTimestamp64Milli({to:Int64}))
)) AS freshest_ms`;

interface Session {
  readonly name: string;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly stopped: boolean;
  readonly running: number;
  /** Moment from which on it counts as lost. */
  readonly lostAt: number;
  readonly row: Row;
}

/** Detector of lost agents. */
export const agentLost: Detector = {
  ...ID,
  kind: 'agent-lost',
  summary: 'Agents whose heartbeats stopped although they did not end',
  defaults: DEFAULTS,
  queries: queriesAt,
  evaluate(answers, context) {
    const sessions = (answers['sessions'] ?? []).map((row) => toSession(row, context));
    if (sessions.length === 0) return [unknown('No agent has sent a heartbeat')];
    const lost = sessions.filter(
      (session) =>
        !session.stopped && context.now >= session.lostAt && !cameBack(session, sessions),
    );
    if (isSilentAltogether(lost, sessions, answers['freshest'] ?? [], context)) {
      return [unknown('All telemetry fell silent at once: the agents cannot be judged')];
    }
    const byName = new Map<string, Session>();
    for (const session of lost) {
      const known = byName.get(session.name);
      if (!known || session.lastAt > known.lastAt) byName.set(session.name, session);
    }
    return [...byName.values()].map((session) => toFinding(session, context));
  },
};

function queriesAt({ now, settings }: DetectorContext) {
  const parameters = { from: now - setting(settings, 'windowMs'), to: now };
  return {
    sessions: { sql: SESSIONS_SQL, parameters },
    freshest: { sql: FRESHEST_SQL, parameters: { from: now - 300_000, to: now } },
  };
}

function toSession(row: Row, { settings }: DetectorContext): Session {
  const lastAt = num(row, 'last_ms');
  const limit = Math.max(
    setting(settings, 'leaseMs'),
    setting(settings, 'missedHeartbeats') * num(row, 'every_ms'),
  );
  return {
    name: text(row, 'agent_name') || text(row, 'id'),
    firstAt: num(row, 'first_ms'),
    lastAt,
    stopped: text(row, 'last_state') === 'stopped',
    running: num(row, 'last_running'),
    lostAt: lastAt + limit + setting(settings, 'graceMs'),
    row,
  };
}

/** Another session of the same name began after this one's last word. */
function cameBack(session: Session, sessions: readonly Session[]): boolean {
  return sessions.some((other) => other.name === session.name && other.firstAt > session.lastAt);
}

/** Where all of several agents and everything else stopped together, it is the telemetry that is lost. */
function isSilentAltogether(
  lost: readonly Session[],
  sessions: readonly Session[],
  freshest: QueryRows,
  { now }: DetectorContext,
): boolean {
  const alive = sessions.filter((session) => !session.stopped && now < session.lostAt);
  if (lost.length < 2 || alive.length > 0) return false;
  const newest = Math.max(...lost.map((session) => session.lastAt));
  const together = lost.filter((session) => newest - session.lastAt < 5_000).length === lost.length;
  const heard = freshest[0] ? num(freshest[0], 'freshest_ms') : 0;
  return together && heard <= newest + 2_000;
}

function toFinding(session: Session, context: DetectorContext): Finding {
  const silentS = Math.round((context.now - session.lastAt) / 1_000);
  const held = session.running === 1 ? '1 task' : `${session.running} tasks`;
  return {
    kind: 'agent-lost',
    fingerprint: `${ID.id}:${session.name}`,
    status: 'firing',
    severity: session.running > 0 ? 'error' : 'warning',
    title: `Agent ${session.name} is lost: no heartbeat for ${silentS} s, it held ${held}`,
    rootCause: `the heartbeats of ${session.name} stopped without a clean end`,
    diagnosis: session.running > 0 ? 'held-work' : 'idle',
    subjects: [{ type: 'agent', id: session.name }],
    affected: [],
    evidence: [
      evidenceOf(ID, queriesAt(context).sessions, [session.row], {
        ...context.settings,
        lostAt: session.lostAt,
      }),
    ],
    since: session.lostAt,
    reason: 'heartbeat-missed',
  };
}

function unknown(title: string): Finding {
  return {
    kind: 'agent-lost',
    fingerprint: ID.id,
    status: 'unknown',
    severity: 'info',
    title,
    rootCause: null,
    diagnosis: null,
    subjects: [],
    affected: [],
    evidence: [],
    since: 0,
    reason: 'no-heartbeats',
  };
}
