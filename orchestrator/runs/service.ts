/** Runs as the API, the CLI and the runbooks use them. */
import { ALL_ENVIRONMENTS, listPrefix } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { RUN_STATES, type Run, type RunState } from '../../domain/run.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import type { Page, PageQuery, RunControlService, RunService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { listRuns, toRun } from '../store/run.ts';
import { checkRunId, isUuid } from './identifiers.ts';
import { readRun } from './read.ts';
import { readTasks } from './tasks.ts';
import type { CreatedRun } from './trigger.ts';
import type { TriggerRuns } from './trigger-lane.ts';
import type { Versions } from './versions.ts';

export interface RunServiceDeps {
  /** Connections for what is not dispatch. */
  readonly general: Db;
  readonly versions: Versions;
  readonly triggerRuns: TriggerRuns;
  readonly control: RunControlService;
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
    tasks: (id) => readTasks(deps.general, deps.versions, checkRunId(id)),
    async cancel(id, reason, actor) {
      const before = await get(id);
      if (before.state === 'cancelled') return before;
      await deps.control.cancel(id, { reason }, actor);
      const after = await get(id);
      if (after.state === 'succeeded' || after.state === 'failed') {
        throw new SignalboxError('conflict', `the run has ${after.state}`);
      }
      return after;
    },
    async retry(id, actor) {
      await deps.control.retry(id, {}, actor);
      return get(id);
    },
  };
  return service;
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
    // A workflow's name says where it is.
    prefix: query.workflow === undefined ? listPrefix(query.environment) : ALL_ENVIRONMENTS,
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
