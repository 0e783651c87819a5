/** A new run in the place of one that has ended: the same parameters and date, the workflow as it is now. */
import { SignalboxError } from '../../domain/errors.ts';
import { isTerminalRun } from '../../domain/run.ts';
import type { RerunRequest } from '../../domain/run-control.ts';
import type { TriggerReply } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { readRunnable } from '../store/run-workflow.ts';
import type { Parameters } from './parameters.ts';
import { readRun } from './read.ts';
import type { RunInfos } from './run-info.ts';
import type { AnnounceRuns, CreateRuns } from './trigger.ts';

export interface RerunDeps {
  readonly db: Db;
  /** Connections for what is not dispatch. */
  readonly general: Db;
  readonly infos: RunInfos;
  readonly parameters: Parameters;
  readonly createRuns: CreateRuns;
  readonly announceRuns: AnnounceRuns;
}

/** @throws SignalboxError `not-found`, `conflict` for one that is not over, `invalid-parameters` */
export async function rerun(
  deps: RerunDeps,
  runId: string,
  { parameters, idempotencyKey }: RerunRequest,
): Promise<TriggerReply> {
  const run = await readRun(deps.general, runId);
  await deps.infos.load(deps.general, [runId]);
  const info = deps.infos.get(runId);
  if (!info) throw new SignalboxError('conflict', `the run belongs to ${run.engine}`);
  if (!isTerminalRun(run.state)) {
    throw new SignalboxError('conflict', `the run is ${run.state}: cancel it first, or wait`);
  }
  const workflow = (await readRunnable(deps.general, [run.workflow])).get(run.workflow);
  if (!workflow) {
    throw new SignalboxError('conflict', `there is no workflow ${run.workflow} any more`);
  }
  // A run of assets is of the graph that was made for just these assets.
  const isPlain = workflow.kind === 'workflow' || workflow.kind === 'flow';
  const request = {
    workflow: run.workflow,
    versionId: isPlain ? workflow.versionId : info.version.id,
    maxActiveRuns: workflow.maxActiveRuns,
    parameters: deps.parameters.check(workflow.parameters, parameters ?? run.parameters),
    trigger: 'retry' as const,
    logicalDate: run.logicalDate === null ? null : Date.parse(run.logicalDate),
    dataInterval: run.dataInterval,
    priority: run.priority,
    partitions: info.partitions,
    idempotencyKey: idempotencyKey ?? null,
    retryOf: runId,
  };
  const created = await deps.db.transaction((tx) => deps.createRuns(tx, [request]));
  deps.announceRuns(created);
  const [made] = created;
  if (!made) throw new Error('a trigger made no run');
  return made;
}
