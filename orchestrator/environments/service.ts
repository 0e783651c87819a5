/** Environments as people see them: made, listed, and given up. */
import {
  DEFAULT_TTL_MS,
  type Environment,
  environmentNameFault,
  PRODUCTION,
} from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { type Clock, parseDuration } from '../../domain/time.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import type { Db } from '../store/connection.ts';
import {
  type CountedEnvironmentRow,
  findEnvironment,
  readEnvironments,
  readReads,
  saveEnvironment,
} from '../store/environment.ts';
import { beginDeletion } from '../store/environment-delete.ts';
import type { EnvironmentService } from './contract.ts';
import type { KnownEnvironments } from './known.ts';
import { settingsOf } from './known.ts';
import { createRunEnvironments } from './run-environments.ts';

const LEAST_TTL_MS = 60_000;
const MOST_TTL_MS = 31_536_000_000;
const MAX_LABELS = 50;
const MAX_LABEL_LENGTH = 500;

export interface EnvironmentDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly known: KnownEnvironments;
  ofSession(sessionId: string): Promise<string | null>;
  diff(name: string): ReturnType<EnvironmentService['diff']>;
  add(deletion: (environment: string) => Promise<void>): void;
}

export function createEnvironmentService(deps: EnvironmentDeps): EnvironmentService {
  const { db, clock, known } = deps;
  const get = async (name: string): Promise<Environment> => {
    const [row] = await readEnvironments(db, { name, after: null, limit: 1 });
    if (!row) throw new SignalboxError('not-found', `environment ${name}`);
    return toEnvironment(row);
  };
  return {
    get,
    async list(query) {
      const { after, limit } = readPageQuery(query);
      const rows = await readEnvironments(db, { name: null, after, limit: limit + 1 });
      return toPage(rows, limit, (row) => row.name, toEnvironment);
    },
    async save({ name, expiresAfter, labels = {}, settings = {} }, actor) {
      refuseName(name);
      checkLabels(labels);
      const outcome = await saveEnvironment(
        db,
        {
          ...{ name, labels, settings, by: actor.name, defaultTtlMs: DEFAULT_TTL_MS },
          ttlMs: readTtl(expiresAfter),
        },
        new Date(clock.now()),
      );
      known.forget(name);
      if (outcome === 'deleting') {
        throw new SignalboxError(
          'conflict',
          `the environment ${name} is being deleted: make it again when signalbox environments list no longer shows it`,
        );
      }
      return { environment: await get(name), created: outcome === 'created' };
    },
    async delete(name, actor) {
      await beginDeletion(db, name, actor.name, new Date(clock.now()));
      known.forget(name);
      return get(name);
    },
    async require(name, forChange) {
      const row = await findEnvironment(db, name);
      if (!row) {
        throw new SignalboxError(
          'not-found',
          `there is no environment ${name}: signalbox environments list shows those there are`,
        );
      }
      if (forChange && row.state !== 'active') {
        throw new SignalboxError('conflict', `the environment ${name} is being deleted`);
      }
    },
    diff: deps.diff,
    ofSession: deps.ofSession,
    ofRuns: createRunEnvironments(db, clock),
    readsOf: (runId) => readReads(db, runId),
    add: deps.add,
  };
}

function refuseName(name: string): void {
  const fault = environmentNameFault(name);
  if (fault === null) return;
  throw new SignalboxError('invalid-request', fault, [{ path: '/name', message: fault }]);
}

function checkLabels(labels: Readonly<Record<string, string>>): void {
  const all = Object.entries(labels);
  const ok =
    all.length <= MAX_LABELS &&
    all.every((entry) => entry.every((text) => text.length <= MAX_LABEL_LENGTH));
  if (ok) return;
  const message = `there are at most ${MAX_LABELS} labels, of ${MAX_LABEL_LENGTH} characters each`;
  throw new SignalboxError('invalid-request', message, [{ path: '/labels', message }]);
}

function readTtl(text: string | null | undefined): number | null | undefined {
  if (text === undefined || text === null) return text;
  let ttlMs = Number.NaN;
  try {
    ttlMs = parseDuration(text);
  } catch {
    // Told below.
  }
  if (ttlMs >= LEAST_TTL_MS && ttlMs <= MOST_TTL_MS) return Math.round(ttlMs);
  const message = 'expiresAfter is a duration from 1m to 365d, such as "14d", or null for never';
  throw new SignalboxError('invalid-request', message, [{ path: '/expiresAfter', message }]);
}

function toEnvironment(row: CountedEnvironmentRow): Environment {
  const lastSeen = row.last_seen_at.getTime();
  return {
    name: row.name,
    base: PRODUCTION,
    state: row.state,
    createdBy: row.created_by,
    createdAt: row.created_at.toISOString(),
    lastSeenAt: row.last_seen_at.toISOString(),
    expiresAt: row.ttl_ms === null ? null : new Date(lastSeen + Number(row.ttl_ms)).toISOString(),
    labels: row.labels,
    settings: settingsOf(row),
    workflows: row.workflows,
    assets: row.assets,
    agents: row.agents,
    activeRuns: row.active_runs,
  };
}
