/**
 * Cancels surplus runs of the same work. One run of each key survives: the one that is done, else the furthest
 * along, else the one with a valid lease, else the oldest. Runs that have ended are left alone. A cancellation
 * counts only once the run has ended and holds no slot.
 */
import type { RunLevers } from '../domain/levers.ts';
import { ACTIVE_RUN_STATES, isTerminalRun, type Run } from '../domain/run.ts';
import type { ActContext, Plan, PlannedCall, Runbook, RunbookContext } from '../domain/runbook.ts';
import { planOf, refuse, subjectsOf, textArgument } from './plan.ts';

const ID = { id: 'duplicate-cancel', version: '1' } as const;
const CONFIRM_LIMIT_MS = 30_000;
const RUNS_OF_A_KEY = 100;
/** Engines that only tell by OpenLineage what they do: they take no commands. */
const ONLY_TOLD = 'openlineage:';

interface Candidate {
  readonly run: Run;
  readonly doneTasks: number;
  readonly holdsLease: boolean;
}

interface Choice {
  readonly survivor: Candidate;
  readonly surplus: readonly Candidate[];
}

/** Runbook for runs that exist more than once. */
export const duplicateCancel: Runbook = {
  ...ID,
  title: 'Cancel duplicate runs',
  summary: 'Keeps one run of each piece of work and cancels the surplus that has not ended',
  kinds: ['duplicate-runs'],
  defaultMode: 'auto',
  guardrails: { cooldownMs: 10_000, budgetPerHour: 60, maxCalls: 500, stopAfterFailures: 3 },
  parameters: { type: 'object', properties: {}, additionalProperties: false },
  handles: (incident) => incident.kind === 'duplicate-runs',
  plan,
  async act(context, plan) {
    // Cancellations of different pieces of work have nothing to do with each other.
    const keys = new Map<string, PlannedCall[]>();
    for (const call of plan.calls) {
      const key = textArgument(call, 'businessKey');
      keys.set(key, [...(keys.get(key) ?? []), call]);
    }
    await Promise.all(
      [...keys.values()].map(async (calls) => {
        for (const call of calls) await cancelOne(context, call);
      }),
    );
  },
  async confirm({ levers }, plan) {
    const checks = await Promise.all(
      plan.calls.map(async (call) => {
        const id = textArgument(call, 'runId');
        const run = await levers.runs.get(id);
        if (!run || !isTerminalRun(run.state)) return `run ${id} has not ended`;
        return (await levers.runs.heldSlots(id)) > 0 ? `run ${id} still holds a slot` : null;
      }),
    );
    const open = checks.filter((check) => check !== null);
    if (open.length > 0) return { ok: false, detail: open.slice(0, 5).join('; ') };
    return { ok: true, detail: `${plan.calls.length} surplus runs have ended and hold nothing` };
  },
};

async function plan(context: RunbookContext): Promise<Plan> {
  const { levers } = context;
  const ids = subjectsOf(context, 'run');
  const named = (await Promise.all(ids.map((id) => levers.runs.get(id)))).filter(
    (run) => run !== null,
  );
  if (named.length > 0 && named.every(({ engine }) => engine.startsWith(ONLY_TOLD))) {
    return refuse(ID, context.incident.diagnosis ?? 'concurrent', 'engine-takes-no-commands');
  }
  const keys = [...new Map(named.map((run) => [run.businessKey, run])).values()];
  const choices = await Promise.all(keys.map((run) => choose(levers.runs, run)));
  const calls = choices.flatMap((choice) => (choice ? toCalls(choice) : []));
  if (calls.length === 0) {
    const reason = named.every((run) => isTerminalRun(run.state))
      ? 'all-runs-have-ended'
      : 'no-surplus-left';
    return refuse(ID, 'no-surplus', reason);
  }
  return planOf(ID, {
    diagnosis: context.incident.diagnosis ?? 'concurrent',
    reasons: [
      'survivor: done, else furthest along, else holding a valid lease, else oldest',
      ...choices.flatMap((choice) =>
        choice && choice.surplus.length > 0
          ? [`run ${choice.survivor.run.id} survives: ${why(choice.survivor)}`]
          : [],
      ),
    ].slice(0, 50),
    calls,
    affected: [...new Set(named.map((run) => run.workflow))].map((id) => ({
      type: 'workflow',
      id,
    })),
  });
}

/** The survivor of a key and what is too many beside it. */
async function choose(runs: RunLevers, of: Run): Promise<Choice | null> {
  const same = await runs.list({
    engine: of.engine,
    workflow: of.workflow,
    businessKey: of.businessKey,
    states: [...ACTIVE_RUN_STATES, 'succeeded'],
    limit: RUNS_OF_A_KEY,
  });
  const candidates = await Promise.all(
    same
      .filter((run) => run.trigger !== 'retry' && run.retryOf === null)
      .map((run) => toCandidate(runs, run)),
  );
  const [survivor, ...rest] = candidates.toSorted(bySurvival);
  if (!survivor) return null;
  return { survivor, surplus: rest.filter(({ run }) => !isTerminalRun(run.state)) };
}

async function toCandidate(runs: RunLevers, run: Run): Promise<Candidate> {
  if (isTerminalRun(run.state))
    return { run, doneTasks: Number.POSITIVE_INFINITY, holdsLease: false };
  const [tasks, holdsLease] = await Promise.all([runs.tasks(run.id), runs.holdsLease(run.id)]);
  const doneTasks = tasks.filter((task) => task.state === 'succeeded').length;
  return { run, doneTasks, holdsLease };
}

function bySurvival(a: Candidate, b: Candidate): number {
  return (
    Number(b.run.state === 'succeeded') - Number(a.run.state === 'succeeded') ||
    (a.doneTasks === b.doneTasks ? 0 : b.doneTasks - a.doneTasks) ||
    Number(b.holdsLease) - Number(a.holdsLease) ||
    Number(b.run.state === 'running') - Number(a.run.state === 'running') ||
    Date.parse(a.run.createdAt) - Date.parse(b.run.createdAt) ||
    (a.run.id < b.run.id ? -1 : 1)
  );
}

function why({ run, doneTasks, holdsLease }: Candidate): string {
  if (run.state === 'succeeded') return 'it is done';
  if (doneTasks > 0) return `${doneTasks} of its tasks are done`;
  return holdsLease ? 'an agent with a valid lease works on it' : 'it is the oldest';
}

function toCalls({ survivor, surplus }: Choice): PlannedCall[] {
  return surplus.map(({ run }) => ({
    key: `cancel-${run.id}`,
    summary: `cancel run ${run.id} of ${run.workflow} (${run.state}); run ${survivor.run.id} survives`,
    lever: 'runs.cancel',
    arguments: { runId: run.id, survivorId: survivor.run.id, businessKey: run.businessKey },
    before: run.state,
    after: 'cancelled',
    undo: null,
  }));
}

async function cancelOne(context: ActContext, call: PlannedCall): Promise<void> {
  const { levers } = context;
  const id = textArgument(call, 'runId');
  const survivorId = textArgument(call, 'survivorId');
  const asked = await context.step(call.key, async () => {
    // Never the last one: the survivor must still be there, alive or done.
    const survivor = await levers.runs.get(survivorId);
    if (!survivor || survivor.state === 'failed' || survivor.state === 'cancelled') {
      return { outcome: 'survivor-is-gone', ok: false };
    }
    const changed = await levers.runs.cancel(id, `duplicate of run ${survivorId}`, {
      states: ACTIVE_RUN_STATES,
    });
    return changed.outcome === 'state-changed'
      ? { outcome: 'state-changed-since-plan', ok: true }
      : { outcome: changed.outcome, ok: true };
  });
  const ended =
    !asked.ok ||
    (await context.waitUntil(
      `ended-${id}`,
      async () => {
        const run = await levers.runs.get(id);
        return run !== null && isTerminalRun(run.state) && (await levers.runs.heldSlots(id)) === 0;
      },
      CONFIRM_LIMIT_MS,
    ));
  await context.report({
    key: call.key,
    ok: asked.ok && ended,
    outcome: ended ? asked.outcome : 'not-confirmed',
    detail: { runId: id, survivorId },
  });
}
