/** Workflows and flows as lists and pages show them. */
import { listPrefix } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import { toRfc3339 } from '../../domain/time.ts';
import type { WorkflowDetail, WorkflowService, WorkflowSummary } from '../service.ts';
import type { Db } from '../store/connection.ts';
import {
  countFaultyFiles,
  findWorkflow,
  listWorkflows,
  readFileErrors,
  setWorkflowPaused,
  type WholeWorkflowRow,
  type WorkflowRow,
} from '../store/workflow.ts';
import { readPageQuery, toPage } from './page.ts';
import { register } from './register.ts';

export interface WorkflowDeps {
  readonly db: Db;
  readonly clock: Clock;
  changed(topic: 'workflow' | 'asset', id: string): void;
  /** Something may be due earlier than was thought. */
  nudgeScheduler(): void;
}

/** Changes told one by one; more than these are told once, by an empty id. */
const MAX_TOLD = 100;

export function createWorkflows(deps: WorkflowDeps): WorkflowService {
  const { db, clock } = deps;
  const get = async (name: string) => {
    const row = await findWorkflow(db, name);
    if (!row) throw new SignalboxError('not-found', `workflow ${name}`);
    return toDetail(row);
  };
  return {
    get,
    async list(query) {
      const { after, limit } = readPageQuery(query);
      const prefix = listPrefix(query.environment);
      const rows = await listWorkflows(db, { after, limit: limit + 1, prefix });
      return toPage(rows, limit, (row) => row.name, toSummary);
    },
    async setPaused(name, paused) {
      if (!(await setWorkflowPaused(db, name, paused, new Date(clock.now())))) {
        throw new SignalboxError('not-found', `workflow ${name}`);
      }
      deps.changed('workflow', name);
      deps.nudgeScheduler();
      return get(name);
    },
    async register(definitions, errors, agent = null, session = '') {
      const teller = agent === null ? null : { agent, session };
      const changed = await register(db, definitions, errors, clock.now(), teller);
      if (changed.length === 0) return;
      const told = changed.length > MAX_TOLD ? [''] : changed;
      for (const name of told) deps.changed('workflow', name);
      if (definitions.some((definition) => definition.asset)) deps.changed('asset', '');
      deps.nudgeScheduler();
    },
    fileErrors: (environment) => readFileErrors(db, listPrefix(environment)),
    faultyFiles: () => countFaultyFiles(db, listPrefix(undefined)),
  };
}

function toSummary(row: WorkflowRow): WorkflowSummary {
  return {
    name: row.name,
    kind: row.kind,
    description: row.description,
    paused: row.paused,
    tags: row.tags,
    owners: row.owners,
    schedule: row.schedule,
    nextRunAt: row.paused ? null : toRfc3339(row.next_run_at),
    version: row.version,
    parameters: row.parameters,
    taskCount: row.task_count,
    file: row.file,
  };
}

function toDetail(row: WholeWorkflowRow): WorkflowDetail {
  const { tasks } = row.graph;
  return {
    ...toSummary(row),
    ...(row.on === null ? {} : { on: row.on }),
    tasks: tasks.map((task) => ({
      key: task.key,
      after: task.after.flatMap((index) => tasks[index]?.key ?? []),
      ...(task.priority === 0 ? {} : { priority: task.priority }),
      ...(task.priorityWeight === undefined ? {} : { priorityWeight: task.priorityWeight }),
      ...(task.weightRule === undefined ? {} : { weightRule: task.weightRule }),
    })),
  };
}
