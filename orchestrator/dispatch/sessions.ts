/** Sessions of agents, known to each server after the first call; that one has ended is looked up again now and then. */
import type { RegisterRequest } from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import { versionOf } from '../catalog/register.ts';
import { isUuid } from '../runs/identifiers.ts';
import type { Reconciler } from '../service.ts';
import {
  deleteOldSessions,
  findLiveSession,
  insertSession,
  type Session,
} from '../store/agent-session.ts';
import type { Db } from '../store/connection.ts';
import {
  deleteUnusedSets,
  ensureDefinitionSet,
  setSessionDefinitions,
} from '../store/definition-set.ts';
import { deleteKept } from '../store/retention.ts';
import { createDefinitionSets, type DefinitionSet } from './definitions.ts';

/** A session as dispatch uses it. */
export interface KnownSession extends Session {
  readonly queueSet: ReadonlySet<string>;
  /** What it may be given; another one once its agent has read its files again. */
  definitions: DefinitionSet;
}

export interface Sessions {
  open(request: RegisterRequest, publicId: string, leaseMs: number): Promise<KnownSession>;
  /**
   * A session that is open defines this from now on.
   * @throws SignalboxError `lease-lost` where the session has ended, or is of another agent
   */
  redefine(publicId: string, request: RegisterRequest): Promise<KnownSession>;
  /** Sessions (by their rows; `*` for all) define something else, as another server told. */
  redefined(ids: ReadonlySet<string>): Promise<void>;
  /** @throws SignalboxError `lease-lost` where the session has ended or never was */
  get(publicId: string): Promise<KnownSession>;
  /** The same, for a call that renews the lease and hears by that whether the session has ended. */
  getToRenew(publicId: string): Promise<KnownSession>;
  forget(publicId: string): void;
}

const ENDED = 'this session of an agent has ended';
const CHECK_EVERY_MS = 2_000;
/** Sessions that are kept in mind; those of agents that just went away are forgotten with the others now and then. */
const MAX_KNOWN = 50_000;
const RETENTION_EVERY_MS = 600_000;
const DELETE_AT_ONCE = 5_000;

export function createSessions(db: Db, clock: Clock): Sessions {
  const known = new Map<string, { session: KnownSession; checkedAt: number }>();
  const sets = createDefinitionSets();
  const keep = async (row: Session) => {
    const definitions = await sets.load(db, row.definitionSet);
    // Two of its calls may have come at once; what it defines from then on must reach both.
    const same = known.get(row.publicId);
    if (same) return same.session;
    const session = { ...row, queueSet: new Set(row.queues), definitions };
    if (known.size >= MAX_KNOWN) known.clear();
    known.set(row.publicId, { session, checkedAt: clock.now() });
    return session;
  };
  const get = async (publicId: string, isChecked = false) => {
    const found = known.get(publicId);
    const isFresh = found && Math.abs(clock.now() - found.checkedAt) < CHECK_EVERY_MS;
    if (isFresh && !isChecked) return found.session;
    const row = isUuid(publicId) ? await findLiveSession(db, publicId) : undefined;
    if (!row) {
      known.delete(publicId);
      throw new SignalboxError('lease-lost', ENDED);
    }
    if (!found) return keep(row);
    found.checkedAt = clock.now();
    if (found.session.definitions.id !== row.definitionSet) {
      found.session.definitions = await sets.load(db, row.definitionSet);
    }
    return found.session;
  };
  return {
    async open(request, publicId, leaseMs) {
      const set = await ensureDefinitionSet(db, versionsOf(request));
      return keep(await insertSession(db, publicId, request, leaseMs, set));
    },
    async redefine(publicId, request) {
      const session = await get(publicId);
      const set = await ensureDefinitionSet(db, versionsOf(request));
      const { version } = request;
      const isOpen =
        session.name === request.name &&
        (await setSessionDefinitions(db, session.id, { definitions: set, version }));
      if (!isOpen) throw new SignalboxError('lease-lost', ENDED);
      return get(publicId, true);
    },
    async redefined(ids) {
      const concerned = [...known.values()].filter(
        ({ session }) => ids.has(session.id) || ids.has('*'),
      );
      for (const { session } of concerned) await get(session.publicId, true).catch(() => undefined);
    },
    get: (publicId) => get(publicId),
    getToRenew: async (publicId) => known.get(publicId)?.session ?? get(publicId),
    forget(publicId) {
      known.delete(publicId);
    },
  };
}

function versionsOf({ definitions }: RegisterRequest): ReadonlyMap<string, string> {
  return new Map(definitions.map((definition) => [definition.name, versionOf(definition)]));
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
      await deleteUnusedSets(db);
    },
  };
}
