/** Completions as agents send them: read against the run's graph, recorded through the lanes, answered in order. */
import type {
  Assignment,
  CompleteReply,
  CompleteRequest,
  Completion,
} from '../../domain/agent-protocol.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { RunError } from '../../domain/run.ts';
import { failedBlockingCheck } from '../assets/outcome.ts';
import { isToken } from '../runs/identifiers.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { Version } from '../runs/versions.ts';
import type { Db } from '../store/connection.ts';
import { readBranch } from './branch.ts';
import type { EndReport } from './draft.ts';
import type { Lanes } from './lanes.ts';
import type { Offer } from './offer.ts';
import type { PlannedBranch } from './progress.ts';
import { retell } from './retell.ts';
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
  await deps.infos.loadTasks(
    deps.db,
    request.completions.map(({ runId, taskKey }) => ({ runId, task: taskKey })),
  );
  const assignments: Assignment[] = [];
  const offer: Offer = {
    sessionId: session.id,
    ...{ queues: session.queueSet, definitions: session.definitions },
    left: Math.min(MAX_TAKE, Math.max(0, request.take)),
    assignments,
  };
  const reports = request.completions.map((completion) =>
    toReport(deps.infos, completion, session, offer),
  );
  await deps.lanes.submit(reports.filter((report) => report !== null));
  const repeated = reports.filter((report) => report?.outcome === 'already-recorded');
  if (repeated.length > 0) {
    const runIds = new Set(repeated.map((report) => report?.runId ?? ''));
    const known = new Set([...request.completions, ...assignments].map(({ token }) => token));
    assignments.push(...(await retell(deps, session.id, runIds, known)));
  }
  const outcomes = request.completions.map(({ runId, taskKey }, index) => ({
    runId,
    taskKey,
    outcome: reports[index]?.outcome ?? 'lease-lost',
  }));
  return {
    outcomes: request.brief ? outcomes.filter(({ outcome }) => outcome !== 'recorded') : outcomes,
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
  const version = infos.get(completion.runId)?.version;
  const task = version?.indexOf.get(completion.taskKey);
  if (version === undefined || task === undefined || !isToken(completion.token)) return null;
  const { branch, refused } = judgeSuccess(version, task, completion);
  return {
    runId: completion.runId,
    task,
    token: completion.token,
    kind: refused ? 'failed' : completion.state,
    final: completion.final ?? refused?.final ?? false,
    result: completion.result ?? null,
    error: refused?.error ?? completion.error ?? null,
    branch,
    retryAfterMs: completion.retryAfterMs ?? null,
    startedAt: completion.startedAt,
    finishedAt: completion.finishedAt,
    asset: completion.asset ?? null,
    agent: session.name,
    offer,
    outcome: 'lease-lost',
  };
}

interface JudgedSuccess {
  readonly branch: PlannedBranch | null;
  /** Why it is a failure after all. */
  readonly refused: { readonly error: RunError; readonly final: boolean } | null;
}

/** A success is none where a blocking check did not pass, or a branch chose what it cannot choose. */
function judgeSuccess(version: Version, task: number, completion: Completion): JudgedSuccess {
  if (completion.state !== 'succeeded') return { branch: null, refused: null };
  const blocked = failedBlockingCheck(completion.asset);
  if (blocked !== null) {
    const error = { name: 'CheckFailed', message: `the check ${blocked} did not pass` };
    return { branch: null, refused: { error, final: false } };
  }
  if (completion.branch === undefined) return { branch: null, refused: null };
  const read = readBranch(version, task, completion.branch);
  if ('branch' in read) return { branch: read.branch, refused: null };
  return { branch: null, refused: { error: read.error, final: true } };
}
