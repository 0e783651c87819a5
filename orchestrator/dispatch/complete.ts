/** Completions as agents send them: read against the run's graph, recorded through the lanes, answered in order. */
import type {
  Assignment,
  CompleteReply,
  CompleteRequest,
  Completion,
} from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { failedBlockingCheck } from '../assets/outcome.ts';
import { isToken } from '../runs/identifiers.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { Db } from '../store/connection.ts';
import type { EndReport } from './draft.ts';
import type { Lanes } from './lanes.ts';
import type { Offer } from './offer.ts';
import type { KnownSession } from './sessions.ts';

/** Slots that one answer may fill. */
const MAX_TAKE = 10_000;

/**
 * Records completions of a session.
 * @throws SignalboxError `too-many-requests` where so many wait that these should be sent again later
 */
export async function complete(
  deps: { readonly db: Db; readonly infos: RunInfos; readonly lanes: Lanes },
  session: KnownSession,
  request: CompleteRequest,
): Promise<CompleteReply> {
  if (deps.lanes.full()) throw new SignalboxError('too-many-requests', 'completions wait');
  await deps.infos.load(
    deps.db,
    request.completions.map(({ runId }) => runId),
  );
  const assignments: Assignment[] = [];
  const offer: Offer = {
    sessionId: session.id,
    queues: session.queueSet,
    left: Math.min(MAX_TAKE, Math.max(0, request.take)),
    assignments,
  };
  const reports = request.completions.map((completion) =>
    toReport(deps.infos, completion, session, offer),
  );
  await deps.lanes.submit(reports.filter((report) => report !== null));
  return {
    outcomes: request.completions.map(({ runId, taskKey }, index) => ({
      runId,
      taskKey,
      outcome: reports[index]?.outcome ?? 'lease-lost',
    })),
    assignments,
  };
}

/** Null where there is no such task. */
function toReport(
  infos: RunInfos,
  completion: Completion,
  session: KnownSession,
  offer: Offer,
): EndReport | null {
  const task = infos.get(completion.runId)?.version.indexOf.get(completion.taskKey);
  if (task === undefined || !isToken(completion.token)) return null;
  const blocked = failedBlockingCheck(completion.asset);
  const refused = completion.state === 'succeeded' && blocked !== null;
  return {
    runId: completion.runId,
    task,
    token: completion.token,
    kind: refused ? 'failed' : completion.state,
    final: completion.final ?? false,
    result: completion.result ?? null,
    error: refused
      ? { name: 'CheckFailed', message: `the check ${blocked} did not pass` }
      : (completion.error ?? null),
    startedAt: completion.startedAt,
    finishedAt: completion.finishedAt,
    asset: completion.asset ?? null,
    agent: session.name,
    offer,
    outcome: 'lease-lost',
  };
}
