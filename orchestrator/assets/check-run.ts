/**
 * Running checks without making the asset: a run of the workflow `asset-checks`, with a task for the asset's own checks
 * and one for each that stands by itself, since their code may be in other files and at other agents.
 */
import { environmentOf, plainName, qualify } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Run } from '../../domain/run.ts';
import { CHECKS_WORKFLOW } from '../../domain/shared-workflow.ts';
import { hashOf } from '../catalog/register.ts';
import { type CheckableAsset, findCheckable } from '../store/asset-check.ts';
import type { Tx } from '../store/connection.ts';
import { ensureSystemWorkflow, ensureVersion } from '../store/workflow.ts';
import type { MaterializeDeps } from './materialize.ts';

export interface CheckRequest {
  readonly key: string;
  readonly check: string | null;
  readonly idempotencyKey: string | null;
}

/** @throws SignalboxError `not-found` for an asset or a check that nobody knows, `conflict` where there is none to run */
export async function runChecks(deps: MaterializeDeps, request: CheckRequest): Promise<Run> {
  const { key, check, idempotencyKey } = request;
  const created = await deps.db.transaction(async (tx) => {
    const found = await findCheckable(tx, key);
    if (!found) throw new SignalboxError('not-found', `asset ${key}`);
    const version = await planChecks(tx, key, check, found, new Date(deps.clock.now()));
    return deps.createRuns(tx, [
      {
        ...{ ...version, maxActiveRuns: null },
        // Which checks: the asset's own are in one task.
        parameters: { asset: plainName(key), ...(check === null ? {} : { checks: [check] }) },
        trigger: 'asset',
        idempotencyKey,
      },
    ]);
  });
  deps.announceRuns(created);
  const [first] = created;
  if (!first) throw new Error('a run was asked for and none was made');
  return first.run;
}

async function planChecks(
  tx: Tx,
  key: string,
  check: string | null,
  { task, checks, others }: CheckableAsset,
  now: Date,
): Promise<{ readonly workflow: string; readonly versionId: string }> {
  const isWanted = ({ name }: { name: string }) => check === null || name === check;
  const own = task !== null && checks.some(isWanted) ? [{ ...task, after: [] }] : [];
  const apart = others.filter(isWanted).map((other) => other.task);
  const tasks = [...own, ...apart].map((one) => ({ ...one, kind: 'check' as const, after: [] }));
  if (tasks.length === 0 && check !== null && !checks.some(isWanted)) {
    throw new SignalboxError('not-found', `asset ${key} has no check ${JSON.stringify(check)}`);
  }
  if (tasks.length === 0) {
    throw new SignalboxError(
      'conflict',
      checks.length === 0
        ? `no code here has a check of ${key}`
        : `the checks of ${key} run when a task of a workflow makes it; only a check that stands by itself, check(name, { asset }, …), can be asked for`,
    );
  }
  const graph = { tasks };
  const workflow = qualify(environmentOf(key), CHECKS_WORKFLOW);
  const version = { workflow, version: hashOf(graph), graph };
  const versionId = await ensureVersion(tx, version, now);
  const description = 'Checks the values that assets have, without making them anew';
  await ensureSystemWorkflow(tx, { name: workflow, description, versionId }, now);
  return { workflow, versionId };
}
