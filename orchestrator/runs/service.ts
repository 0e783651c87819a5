/** Runs as the API, the CLI and the runbooks use them. */
import { SignalboxError } from '../../domain/errors.ts';
import { RUN_STATES, type Run, type RunState } from '../../domain/run.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import type { Hub } from '../events/hub.ts';
import type { Page, PageQuery, RunService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { listRuns, readRuns, toRun } from '../store/run.ts';
import { type ChangeDeps, cancelRun, retryRun } from './change.ts';
import { isUuid } from './identifiers.ts';
import { readTasks } from './tasks.ts';
import type { AnnounceRuns, CreatedRun } from './trigger.ts';
import type { TriggerRuns } from './trigger-lane.ts';
import type { Versions } from './versions.ts';

export interface RunServiceDeps extends ChangeDeps {
  /** Connections for what is not dispatch. */
  readonly general: Db;
  readonly versions: Versions;
  readonly hub: Hub;
  readonly triggerRuns: TriggerRuns;
  readonly announceRuns: AnnounceRuns;
  /** A run of the workflow ended: another may begin. */
  promote(workflow: string): void;
}

export function createRunService(deps: RunServiceDeps): RunService {
  const get = (id: string) => readRun(deps.general, id);
  const service: RunService = {
    async trigger(workflow, request) {
      const [made] = await deps.triggerRuns({ workflow, requests: [request], trigger: 'manual' });
      if (!made) throw new Error('a trigger made no run');
      return made;
    },
    triggerBatch: (workflow, requests): Promise<readonly CreatedRun[]> =>
      requests.length === 0
        ? Promise.resolve([])
        : deps.triggerRuns({ workflow, requests, trigger: 'manual' }),
    list: (query) => list(deps.general, query),
    get,
    tasks: (id) => readTasks(deps.general, deps.versions, checkId(id)),
    async cancel(id, reason) {
      const before = await get(id);
      if (before.state === 'cancelled') return before;
      await cancelWithChildren(deps, before, reason);
      const after = await get(id);
      if (after.state === 'succeeded' || after.state === 'failed') {
        throw new SignalboxError('conflict', `the run has ${after.state}`);
      }
      return after;
    },
    async retry(id) {
      const queues = await retryRun(deps, checkId(id));
      deps.hub.ready(queues);
      deps.hub.changed('run', id);
      return get(id);
    },
  };
  return service;
}

/** Cancels a run and the subflows that it waits for. */
async function cancelWithChildren(deps: RunServiceDeps, run: Run, reason: string): Promise<void> {
  if (run.engine !== 'signalbox') {
    throw new SignalboxError('conflict', `the run belongs to ${run.engine}`);
  }
  const { sessions, children, live } = await cancelRun(deps, run.id, reason);
  if (!live) return;
  deps.hub.cancelling(sessions);
  deps.hub.changed('run', run.id);
  deps.promote(run.workflow);
  for (const child of children) {
    await cancelWithChildren(deps, await readRun(deps.general, child), 'its parent was cancelled');
  }
}

/** @throws SignalboxError `not-found` for what is not an id of a run */
function checkId(id: string): string {
  if (isUuid(id)) return id.toLowerCase();
  throw new SignalboxError('not-found', `there is no run ${JSON.stringify(id.slice(0, 60))}`);
}

/** @throws SignalboxError `not-found` */
export async function readRun(db: Db, id: string): Promise<Run> {
  const [row] = await readRuns(db, [checkId(id)]);
  if (!row) throw new SignalboxError('not-found', `there is no run ${id}`);
  return toRun(row);
}

async function list(
  db: Db,
  query: PageQuery & { workflow?: string; state?: string; engine?: string },
): Promise<Page<Run>> {
  const { after, limit } = readPageQuery(query);
  if (after !== null && !isUuid(after)) throw new SignalboxError('invalid-cursor');
  const rows = await listRuns(db, {
    workflow: query.workflow ?? null,
    engine: query.engine ?? null,
    states: query.state === undefined ? null : [readState(query.state)],
    businessKey: null,
    before: after,
    limit: limit + 1,
  });
  return toPage(rows, limit, ({ id }) => id, toRun);
}

function readState(text: string): RunState {
  const state = RUN_STATES.find((known) => known === text);
  if (state) return state;
  throw new SignalboxError('invalid-request', `state is one of ${RUN_STATES.join(', ')}`);
}
