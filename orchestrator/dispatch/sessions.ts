/** Sessions of agents, known to each server after the first call; that one has ended is looked up again now and then. */
import { randomUUID } from 'node:crypto';
import type { RegisterRequest } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import { isUuid } from '../runs/identifiers.ts';
import type { Reconciler } from '../service.ts';
import {
  deleteOldSessions,
  findLiveSession,
  insertSession,
  type Session,
} from '../store/agent-session.ts';
import type { Db } from '../store/connection.ts';
import { deleteKept } from '../store/retention.ts';

/** A session as dispatch uses it. */
export interface KnownSession extends Session {
  readonly queueSet: ReadonlySet<string>;
}

export interface Sessions {
  open(request: RegisterRequest, leaseMs: number): Promise<KnownSession>;
  /** @throws SignalboxError `lease-lost` where the session has ended or never was */
  get(publicId: string): Promise<KnownSession>;
  forget(publicId: string): void;
}

const CHECK_EVERY_MS = 2_000;
/** Sessions that are kept in mind; those of agents that just went away are forgotten with the others now and then. */
const MAX_KNOWN = 50_000;
const RETENTION_EVERY_MS = 600_000;
const DELETE_AT_ONCE = 5_000;

export function createSessions(db: Db, clock: Clock): Sessions {
  const known = new Map<string, { session: KnownSession; checkedAt: number }>();
  const keep = (row: Session) => {
    const session = { ...row, queueSet: new Set(row.queues) };
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(row.publicId, { session, checkedAt: clock.now() });
    return session;
  };
  return {
    async open(request, leaseMs) {
      return keep(await insertSession(db, randomUUID(), request, leaseMs));
    },
    async get(publicId) {
      const found = known.get(publicId);
      if (found && Math.abs(clock.now() - found.checkedAt) < CHECK_EVERY_MS) return found.session;
      const row = isUuid(publicId) ? await findLiveSession(db, publicId) : undefined;
      if (!row) {
        known.delete(publicId);
        throw new SignalboxError('lease-lost', 'this session of an agent has ended');
      }
      if (!found) return keep(row);
      found.checkedAt = clock.now();
      return found.session;
    },
    forget(publicId) {
      known.delete(publicId);
    },
  };
}

/** Each start of an agent leaves a session; those that ended long ago are deleted. */
export function createSessionRetention(db: Db): Reconciler {
  return {
    name: 'session-retention',
    everyMs: RETENTION_EVERY_MS,
    async run() {
      await deleteKept(db, 'agent-sessions', DELETE_AT_ONCE, (keepMs) =>
        deleteOldSessions(db, keepMs, DELETE_AT_ONCE),
      );
    },
  };
}
