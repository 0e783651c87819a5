/** Sensors as the API and the command line use them, and the agents' side of them. */
import { listPrefix } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { LookEnd, LookEndReply, Sensor, SensorEventReceipt } from '../../domain/sensor.ts';
import { formatDuration, toRfc3339 } from '../../domain/time.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import type { Hub } from '../events/hub.ts';
import type { CreatedRun } from '../runs/trigger.ts';
import type { Reconciler, SensorService } from '../service.ts';
import type { Tx } from '../store/connection.ts';
import { deleteKept } from '../store/retention.ts';
import {
  countEvents,
  deleteOldSensorEvents,
  findSensor,
  hasWaiting,
  hurryLook,
  insertSensorEvent,
  listSensors,
  makeDue,
  type SensorRow,
  setCursor,
  setSensorPaused,
} from '../store/sensor.ts';
import { type EndLookDeps, pushRun, recordLook } from './end-look.ts';
import { createLooks, type Looks } from './looks.ts';

export interface SensorsDeps extends EndLookDeps {
  readonly hub: Hub;
  log(message: string): void;
}

export interface Sensors {
  readonly service: SensorService;
  readonly looks: Pick<Looks, 'claim'>;
  end(end: LookEnd): Promise<LookEndReply>;
  readonly reconciler: Reconciler;
  close(): Promise<void>;
}

/** Events that may wait for one sensor. */
const MAX_WAITING = 10_000;
const MAX_BODY_CHARACTERS = 65_536;
const MAX_KEY = 400;
const MAX_CURSOR = 100_000;
const DELETE_AT_ONCE = 5_000;
const RETENTION_EVERY_MS = 600_000;

export function createSensors(deps: SensorsDeps): Sensors {
  const { db } = deps;
  const looks = createLooks(deps);
  return {
    looks,
    async end(end) {
      const reply = await recordLook(deps, end);
      if (reply.outcome !== 'lease-lost') deps.hub.changed('workflow', end.sensor);
      looks.nudge();
      return reply;
    },
    service: createService(deps, looks),
    reconciler: {
      name: 'sensor-event-retention',
      everyMs: RETENTION_EVERY_MS,
      async run() {
        await deleteKept(db, 'sensor-events', DELETE_AT_ONCE, (keepMs) =>
          deleteOldSensorEvents(db, `${keepMs / 1_000} s`, DELETE_AT_ONCE),
        );
      },
    },
    close: () => looks.close(),
  };
}

function createService(deps: SensorsDeps, looks: Looks): SensorService {
  const { db } = deps;
  const get = async (name: string): Promise<Sensor> => {
    const row = await findSensor(db, name);
    const [sensor] = row ? await withEvents(db, [row]) : [];
    if (sensor) return sensor;
    throw new SignalboxError(
      'not-found',
      `there is no sensor ${JSON.stringify(name.slice(0, 60))}`,
    );
  };
  const changed = async (name: string) => {
    deps.hub.changed('workflow', name);
    looks.nudge();
    return get(name);
  };
  return {
    async list(query) {
      const { after, limit } = readPageQuery(query);
      const rows = await withEvents(
        db,
        await listSensors(db, after, limit + 1, listPrefix(query.environment)),
      );
      return toPage(
        rows,
        limit,
        ({ name }) => name,
        (sensor) => sensor,
      );
    },
    get,
    async setPaused(name, paused) {
      await get(name);
      await setSensorPaused(db, name, paused);
      return changed(name);
    },
    async tick(name) {
      const sensor = await get(name);
      if (sensor.kind === 'push') {
        throw new SignalboxError('conflict', `${name} has no code: push an event to it`);
      }
      if (sensor.paused)
        throw new SignalboxError('conflict', `${name} is paused: unpause it first`);
      await makeDue(db, name);
      return changed(name);
    },
    async setCursor(name, cursor) {
      await get(name);
      if ((cursor?.length ?? 0) > MAX_CURSOR) {
        throw new SignalboxError(
          'invalid-request',
          `a cursor has at most ${MAX_CURSOR} characters`,
        );
      }
      await setCursor(db, name, cursor);
      return changed(name);
    },
    async push(name, event) {
      const receipt = await push(deps, name, event);
      looks.nudge();
      return receipt;
    },
  };
}

async function push(
  deps: SensorsDeps,
  name: string,
  event: { key: string; body: unknown },
): Promise<SensorEventReceipt> {
  if (event.key.length === 0 || event.key.length > MAX_KEY || event.key.includes('\0')) {
    throw new SignalboxError('invalid-request', `idempotencyKey has 1 to ${MAX_KEY} characters`);
  }
  if ((JSON.stringify(event.body ?? null) ?? '').length > MAX_BODY_CHARACTERS) {
    throw new SignalboxError(
      'body-too-large',
      `an event has at most ${MAX_BODY_CHARACTERS} characters`,
    );
  }
  const made: CreatedRun[] = [];
  const receipt = await deps.db.transaction(async (tx) => {
    made.length = 0;
    const row = await findSensor(tx, name);
    if (!row) throw new SignalboxError('not-found', `there is no sensor ${JSON.stringify(name)}`);
    const stored = { sensor: name, ...event, at: new Date(deps.clock.now()) };
    if (row.has_code) {
      if (await hasWaiting(tx, name, MAX_WAITING)) {
        throw new SignalboxError('too-many-requests', `${MAX_WAITING} events wait for ${name}`);
      }
      const { created } = await insertSensorEvent(tx, { ...stored, runId: null });
      if (created) await hurryLook(tx, name);
      return { sensor: name, key: event.key, created, runId: null };
    }
    if (row.paused) throw new SignalboxError('conflict', `${name} is paused`);
    const run = await pushRun(deps, tx, row, {
      key: event.key,
      parameters: asParameters(event.body),
    });
    made.push(run);
    const { created } = await insertSensorEvent(tx, { ...stored, runId: run.run.id });
    return { sensor: name, key: event.key, created, runId: run.run.id };
  });
  deps.announceRuns(made);
  return receipt;
}

function asParameters(body: unknown): Record<string, unknown> {
  if (body === undefined || body === null) return {};
  if (typeof body === 'object' && !Array.isArray(body)) return body as Record<string, unknown>;
  const message = 'must be an object: it is the parameters of the run';
  throw new SignalboxError('invalid-request', `/body ${message}`, [{ path: '/body', message }]);
}

async function withEvents(db: Tx, rows: readonly SensorRow[]): Promise<readonly Sensor[]> {
  if (rows.length === 0) return [];
  const counts = await countEvents(
    db,
    rows.map(({ name }) => name),
  );
  return rows.map((row) => {
    const of = (state: string) =>
      counts.find((one) => one.sensor === row.name && one.state === state)?.count ?? 0;
    return toSensor(row, of('waiting'), of('refused'));
  });
}

function toSensor(row: SensorRow, waitingEvents: number, refusedEvents: number): Sensor {
  return {
    name: row.name,
    description: row.description,
    file: row.file,
    queue: row.queue,
    triggers: row.triggers,
    kind: row.has_code ? 'poll' : 'push',
    every: row.has_code ? formatDuration(row.every_ms) : null,
    paused: row.paused,
    cursor: row.cursor,
    state: row.state,
    lastLookAt: toRfc3339(row.last_look_at),
    nextLookAt: row.has_code && !row.paused ? toRfc3339(row.next_look_at) : null,
    looking: row.held_until !== null,
    lastError: row.last_error,
    failures: row.failures,
    skipReason: row.skip_reason,
    lastRuns: row.last_runs,
    ...{ waitingEvents, refusedEvents },
  };
}
