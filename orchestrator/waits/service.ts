/** Events and inputs as the API and the command line use them, and the background steps of what waits. */
import { listPrefix } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { type Clock, toRfc3339 } from '../../domain/time.ts';
import type { RunInput } from '../../domain/wait.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import type { Hub } from '../events/hub.ts';
import { isUuid } from '../runs/identifiers.ts';
import type { Reconciler, RunService, SignalService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { deleteKept } from '../store/retention.ts';
import {
  deleteOldEvents,
  endWait,
  findWait,
  listInputs,
  listOpenInputs,
  lockLiveRun,
  type WaitRow,
  wakeDueTasks,
  wakeTasks,
} from '../store/signal.ts';
import { type AgentWaits, createAgentWaits } from './agent-waits.ts';
import { createSendEvent } from './send.ts';
import { createSubflowWaits } from './subflows.ts';
import { checkValue } from './values.ts';

export interface WaitsDeps {
  readonly db: Db;
  /** Connections that may read in the order of an index. */
  readonly claims: Db;
  readonly clock: Clock;
  readonly hub: Hub;
  readonly runs: Pick<RunService, 'get'>;
  log(message: string): void;
}

export interface Waits {
  readonly service: SignalService;
  readonly agent: AgentWaits;
  readonly reconcilers: readonly Reconciler[];
  close(): Promise<void>;
}

const WAKE_EVERY_MS = 1_000;
const WAKE_AT_ONCE = 5_000;
const RETENTION_EVERY_MS = 600_000;
const DELETE_AT_ONCE = 5_000;

export function createWaits(deps: WaitsDeps): Waits {
  const send = createSendEvent(deps);
  const subflows = createSubflowWaits(deps);
  return {
    agent: createAgentWaits({ ...deps, send, waitsForRuns: subflows.begin }),
    service: createSignals(deps, send),
    close: subflows.close,
    reconcilers: [
      subflows.reconciler,
      {
        name: 'suspended-flows',
        everyMs: WAKE_EVERY_MS,
        async run() {
          for (let woken = WAKE_AT_ONCE; woken === WAKE_AT_ONCE; ) {
            const queues = await wakeDueTasks(deps.claims, WAKE_AT_ONCE);
            woken = queues.length;
            deps.hub.ready(new Set(queues));
          }
        },
      },
      {
        name: 'flow-event-retention',
        everyMs: RETENTION_EVERY_MS,
        async run() {
          await deleteKept(deps.db, 'flow-events', DELETE_AT_ONCE, (keepMs) =>
            deleteOldEvents(deps.db, `${keepMs / 1_000} s`, DELETE_AT_ONCE),
          );
        },
      },
    ],
  };
}

function createSignals(deps: WaitsDeps, send: ReturnType<typeof createSendEvent>): SignalService {
  const { db } = deps;
  return {
    send: (runId, event, actor) => send(runId, event, actor.name),
    async inputs(runId) {
      const { id } = await deps.runs.get(runId);
      return (await listInputs(db, id)).map(toInput);
    },
    async openInputs(query) {
      const { after, limit } = readPageQuery(query);
      const prefix = listPrefix(query.environment);
      const rows = await listOpenInputs(db, readPlace(after), limit + 1, prefix);
      return toPage(rows, limit, placeOf, toInput);
    },
    async answer(runId, key, value, actor) {
      if (!isUuid(runId))
        throw new SignalboxError('not-found', `there is no run ${runId.slice(0, 60)}`);
      const queues = await db.transaction(async (tx) => {
        const run = await lockLiveRun(tx, runId);
        const wait = await findWait(tx, runId, key);
        if (wait?.kind !== 'input') {
          throw new SignalboxError(
            'not-found',
            `run ${runId} asks for no input ${JSON.stringify(key)}`,
          );
        }
        const state = run === undefined ? 'the run has ended' : refusalOf(wait, deps.clock.now());
        if (state !== null) throw new SignalboxError('conflict', `${key}: ${state}`);
        const result = checkValue(wait.schema, value);
        const at = new Date(deps.clock.now());
        const end = { state: 'answered', result, eventId: null, at, by: actor.name } as const;
        await endWait(tx, { runId, key }, end);
        return wakeTasks(tx, [runId]);
      });
      deps.hub.changed('run', runId);
      deps.hub.ready(new Set(queues));
      const wait = await findWait(db, runId, key);
      if (!wait) throw new SignalboxError('not-found', `input ${key}`);
      return toInput(wait);
    },
  };
}

function refusalOf(wait: WaitRow, now: number): string | null {
  if (wait.state === 'answered') return `it was answered by ${wait.answered_by ?? 'somebody'}`;
  if (wait.state === 'timed-out') return 'its time is over';
  return wait.deadline !== null && wait.deadline.getTime() <= now ? 'its time is over' : null;
}

function toInput(row: WaitRow): RunInput {
  return {
    runId: row.run_id,
    key: row.key,
    state: row.state,
    message: row.message,
    schema: row.schema,
    askedAt: row.created_at.toISOString(),
    deadline: toRfc3339(row.deadline),
    value: row.result ?? null,
    answeredAt: toRfc3339(row.answered_at),
    answeredBy: row.answered_by,
  };
}

/** The place of an input in the list, as text. */
function placeOf({ created_at, run_id, key }: WaitRow): string {
  return JSON.stringify([created_at.toISOString(), run_id, key]);
}

function readPlace(text: string | null): { at: string; runId: string; key: string } | null {
  if (text === null) return null;
  try {
    const [at, runId, key] = JSON.parse(text) as unknown[];
    if (typeof at === 'string' && typeof key === 'string' && typeof runId === 'string') {
      if (isUuid(runId) && !Number.isNaN(Date.parse(at))) return { at, runId, key };
    }
  } catch {
    // Falls through: not one of ours.
  }
  throw new SignalboxError('invalid-cursor');
}
