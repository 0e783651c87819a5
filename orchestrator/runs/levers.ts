/** What runbooks may do with runs: each change names the states that the plan saw. */

import { ALL_ENVIRONMENTS } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { RunLevers } from '../../domain/levers.ts';
import type { RunService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { listRuns, toRun } from '../store/run.ts';
import { isUuid } from './identifiers.ts';
import type { TriggerRuns } from './trigger-lane.ts';

const MAX_LISTED = 1_000;
const ACTOR = { name: 'signalbox' };

export function createRunLevers(deps: {
  readonly db: Db;
  readonly runs: RunService;
  readonly triggerRuns: TriggerRuns;
}): RunLevers {
  const { db, runs } = deps;
  const find = async (id: string) => {
    try {
      return await runs.get(id);
    } catch (error) {
      if (error instanceof SignalboxError && error.code === 'not-found') return null;
      throw error;
    }
  };
  return {
    get: find,
    tasks: (id) => runs.tasks(id),
    async list(filter) {
      const rows = await listRuns(db, {
        prefix: ALL_ENVIRONMENTS,
        workflow: filter.workflow ?? null,
        engine: filter.engine ?? null,
        states: filter.states ?? null,
        businessKey: filter.businessKey ?? null,
        ...{ before: null, limit: Math.min(MAX_LISTED, filter.limit ?? MAX_LISTED) },
      });
      return rows.map(toRun);
    },
    async holdsLease(id) {
      if (!isUuid(id)) return false;
      const [row] = await db.query<{ holds: boolean }>(
        `SELECT EXISTS (
           SELECT FROM signalbox.task_live t JOIN signalbox.agent_session s ON s.id = t.session_id
           WHERE t.run_id = $1 AND t.state = 2 AND s.state = 'live'
             AND s.lease_expires_at > clock_timestamp())
         OR EXISTS (
           SELECT FROM signalbox.run_live l JOIN signalbox.agent_session s ON s.id = l.holder
           WHERE l.run_id = $1 AND s.state = 'live' AND s.lease_expires_at > clock_timestamp()) AS holds`,
        [id],
      );
      return row?.holds ?? false;
    },
    async heldSlots(id) {
      if (!isUuid(id)) return 0;
      const [row] = await db.query<{ held: number }>(
        `SELECT coalesce(sum(pool_slots), 0)::int AS held FROM signalbox.task_live
         WHERE run_id = $1 AND state = 2`,
        [id],
      );
      return row?.held ?? 0;
    },
    async cancel(id, reason, expected) {
      const found = await runs.get(id);
      if (found.state === 'cancelled') return { outcome: 'already-so', run: found };
      if (!expected.states.includes(found.state)) return { outcome: 'state-changed', found };
      try {
        return { outcome: 'done', run: await runs.cancel(id, reason, ACTOR) };
      } catch (error) {
        if (!(error instanceof SignalboxError) || error.code !== 'conflict') throw error;
        return { outcome: 'state-changed', found: await runs.get(id) };
      }
    },
    async trigger(workflow, parameters, idempotencyKey) {
      const requests = [{ parameters, idempotencyKey }];
      const [made] = await deps.triggerRuns({ workflow, requests, trigger: 'runbook' });
      if (!made) throw new Error('a trigger made no run');
      return made.run;
    },
  };
}
