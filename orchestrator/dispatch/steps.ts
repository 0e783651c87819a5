/** Durable steps of flows: recorded while the token holds the flow; the first record under a key stays. */
import type { RecordedStep, StepRecord, StepsReply } from '../../domain/agent-protocol.ts';
import { isToken, isUuid } from '../runs/identifiers.ts';
import type { Db } from '../store/connection.ts';
import { findHolding, insertSteps, readSteps } from '../store/step-log.ts';

/** Records steps. Their flow cannot be taken from its holder meanwhile. */
export async function recordSteps(
  db: Db,
  steps: readonly StepRecord[],
): Promise<StepsReply['outcomes']> {
  const valid = steps.filter(({ runId, token }) => isUuid(runId) && isToken(token));
  if (valid.length === 0) {
    return steps.map(({ runId, key }) => ({ runId, key, outcome: 'lease-lost' as const }));
  }
  return db.transaction(async (tx) => {
    const places = await findHolding(tx, valid);
    const holding = new Set(valid.filter((_, index) => places.has(index)));
    const seen = new Set<string>();
    const fresh = [...holding].filter(({ runId, key }) => {
      const name = `${runId} ${key}`;
      return !seen.has(name) && seen.add(name);
    });
    const inserted = new Set(await insertSteps(tx, fresh));
    return steps.map((step) => {
      const { runId, key } = step;
      if (!holding.has(step)) return { runId, key, outcome: 'lease-lost' as const };
      const outcome = inserted.delete(`${runId} ${key}`) ? 'recorded' : 'already-recorded';
      return { runId, key, outcome } as const;
    });
  });
}

/** Recorded steps of a run, for the replay of its flow. */
export async function recordedSteps(db: Db, runId: string): Promise<readonly RecordedStep[]> {
  const rows = isUuid(runId) ? await readSteps(db, runId) : [];
  return rows.map(({ key, state, result, error }) => ({ key, state, result, error }));
}
