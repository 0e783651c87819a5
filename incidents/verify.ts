/**
 * An incident is over when the evidence that opened it says so, and goes on saying so for a hold, after the
 * action; not when a command returned. Where it does not say so within a limit, the action is undone and a
 * person is called.
 */
import { isTerminalRun } from '../domain/run.ts';
import type { Runbook } from '../domain/runbook.ts';
import {
  differs,
  escalate,
  findingOf,
  launch,
  makePlan,
  publicView,
  type RespondParts,
  textOf,
} from './respond.ts';
import { moveExecution, type StoredExecution } from './store/executions.ts';
import { patchIncident, type StoredIncident } from './store/incidents.ts';

/** An action has an effect after a moment; only then is it asked whether more is needed. */
const FURTHER_STEP_AFTER_MS = 6_000;
const FURTHER_STEP_EVERY_MS = 3_000;
/** A flow that was to act and has ended without doing so. */
const ORPHANED_AFTER_MS = 30_000;

export interface Patience {
  readonly holdMs: number;
  readonly verifyLimitMs: number;
  /** Whether a round of the incident's detector has just been made and could tell. */
  readonly evidenceIsFresh: boolean;
}

/** Goes on with an incident that has a response under way. */
export async function watchExecution(
  parts: RespondParts,
  incident: StoredIncident,
  execution: StoredExecution,
  patience: Patience,
): Promise<void> {
  if (execution.status === 'approved' && execution.runId === null) {
    await launch(parts, execution, 'act');
  } else if (execution.status === 'approved' || execution.status === 'acting') {
    await watchFlow(parts, incident, execution);
  } else if (execution.status === 'verifying') {
    await watchVerification(parts, incident, execution, patience);
    return;
  }
  if (execution.status !== 'acting') await closeIfClear(parts, incident, execution, patience);
}

/** Closes an incident that nobody acts on, once its evidence stays clear. */
export async function closeIfClear(
  parts: RespondParts,
  incident: StoredIncident,
  waiting: StoredExecution | undefined,
  patience: Patience,
): Promise<void> {
  // That the surplus succeeded does not cease to be true by being long ago.
  if (incident.diagnosis === 'both-took-effect') return;
  const { timeline, clock, db } = parts;
  const { clearSince } = incident;
  if (clearSince === null || !patience.evidenceIsFresh) return;
  if (incident.status !== 'mitigated') {
    const said = { type: 'recovery-seen', reason: 'evidence-clear' } as const;
    await timeline.record(incident.id, said, { mitigatedFirstAt: clearSince });
    return;
  }
  const now = clock.now();
  if (now - clearSince < patience.holdMs) return;
  if (waiting) {
    const patch = {
      status: 'skipped',
      verdict: 'recovered-before-action',
      finishedAt: now,
    } as const;
    const from = ['planned', 'awaiting-approval', 'approved'] as const;
    if (!(await moveExecution(db, waiting.id, from, patch))) return;
    timeline.tell({ topic: 'execution', id: waiting.id });
  }
  await verified(parts, incident, patience);
}

/** The incident is over, by hand or by folding: what still stands open for it is closed. What acts ends first. */
export async function closeOrphan(
  { db, clock, timeline }: RespondParts,
  execution: StoredExecution,
): Promise<void> {
  const finishedAt = clock.now();
  const moved =
    execution.status === 'verifying'
      ? await moveExecution(db, execution.id, ['verifying'], {
          ...{ status: 'succeeded', verdict: execution.verdict ?? 'unknown', finishedAt },
        })
      : await moveExecution(db, execution.id, ['planned', 'awaiting-approval'], {
          ...{ status: 'skipped', verdict: 'recovered-before-action', finishedAt },
        });
  if (moved) timeline.tell({ topic: 'execution', id: execution.id });
}

async function verified(
  { timeline, clock }: RespondParts,
  incident: StoredIncident,
  { holdMs }: Patience,
): Promise<void> {
  const said = { type: 'verified', reason: 'evidence-clear-for-hold', detail: { holdMs } } as const;
  const patch = { resolvedAt: clock.now(), needsHuman: false };
  await timeline.record(incident.id, said, patch);
}

async function watchVerification(
  parts: RespondParts,
  incident: StoredIncident,
  execution: StoredExecution,
  patience: Patience,
): Promise<void> {
  const { timeline, clock } = parts;
  const runbook = parts.runbooks.find(({ id }) => id === execution.runbook);
  if (!runbook) return;
  if (execution.verdict === 'not-recovered') return watchUndo(parts, incident, execution);
  const now = clock.now();
  const actedAt = execution.actEndedAt ?? now;
  if (incident.clearSince !== null && patience.evidenceIsFresh) {
    if (incident.status !== 'mitigated') {
      const said = { type: 'recovery-seen', reason: 'evidence-clear' } as const;
      await timeline.record(incident.id, said, { mitigatedFirstAt: now });
      return;
    }
    if (now - Math.max(incident.clearSince, actedAt) < patience.holdMs) return;
    if (await confirmed(parts, runbook, incident, execution)) {
      await succeed(parts, incident, execution, patience);
      return;
    }
  }
  if (now - actedAt > patience.verifyLimitMs) {
    await giveUp(parts, runbook, incident, execution);
  } else if (incident.clearSince === null && now - actedAt > FURTHER_STEP_AFTER_MS) {
    await tryFurtherStep(parts, runbook, incident, execution);
  }
}

async function confirmed(
  parts: RespondParts,
  runbook: Runbook,
  incident: StoredIncident,
  execution: StoredExecution,
): Promise<boolean> {
  const { levers, clock, log } = parts;
  try {
    const said = await runbook.confirm(
      {
        ...{ levers, parameters: execution.parameters, now: clock.now() },
        incident: publicView(incident),
        findings: [findingOf(incident)],
        signal: AbortSignal.timeout(10_000),
      },
      execution.plan,
    );
    return said.ok;
  } catch (error) {
    log(`${runbook.id} could not confirm incident ${incident.number}: ${textOf(error)}`);
    return false;
  }
}

async function succeed(
  parts: RespondParts,
  incident: StoredIncident,
  execution: StoredExecution,
  patience: Patience,
): Promise<void> {
  const finishedAt = parts.clock.now();
  const patch = { status: 'succeeded', verdict: 'recovered', finishedAt } as const;
  if (!(await moveExecution(parts.db, execution.id, ['verifying'], patch))) return;
  await verified(parts, incident, patience);
  parts.timeline.tell({ topic: 'execution', id: execution.id });
}

/** What was done took effect, but there is more to do: the pool grows a second step, new duplicates came. */
async function tryFurtherStep(
  parts: RespondParts,
  runbook: Runbook,
  incident: StoredIncident,
  execution: StoredExecution,
): Promise<void> {
  const now = parts.clock.now();
  if (incident.respondAfter !== null && incident.respondAfter > now) return;
  await patchIncident(parts.db, incident.id, { respondAfter: now + FURTHER_STEP_EVERY_MS });
  const plan = await makePlan(parts, runbook, incident, execution.parameters).catch(() => null);
  if (!plan || plan.refusal !== null || !differs(plan, execution.plan)) return;
  const patch = { status: 'succeeded', verdict: 'not-recovered', finishedAt: now } as const;
  if (!(await moveExecution(parts.db, execution.id, ['verifying'], patch))) return;
  const detail = { executionId: execution.id, calls: plan.calls.map(({ summary }) => summary) };
  const said = { type: 'response-waiting', reason: 'further-step-needed', detail } as const;
  await parts.timeline.record(incident.id, said, { respondAfter: now });
}

async function giveUp(
  parts: RespondParts,
  runbook: Runbook,
  incident: StoredIncident,
  execution: StoredExecution,
): Promise<void> {
  const { db, timeline, clock } = parts;
  if (runbook.undo && execution.plan.calls.some((call) => call.undo !== null)) {
    const patch = { verdict: 'not-recovered' } as const;
    const moved = await moveExecution(db, execution.id, ['verifying'], patch);
    if (moved) await launch(parts, moved, 'undo');
    return;
  }
  await fail(parts, incident, execution, 'not-recovered');
  timeline.tell({ topic: 'execution', id: execution.id });
  parts.log(`incident ${incident.number} did not recover by ${clock.now()}`);
}

async function fail(
  parts: RespondParts,
  incident: StoredIncident,
  execution: StoredExecution,
  reason: string,
): Promise<void> {
  const finishedAt = parts.clock.now();
  const patch = { status: 'failed', verdict: 'not-recovered', finishedAt } as const;
  const live = ['approved', 'acting', 'verifying'] as const;
  if (!(await moveExecution(parts.db, execution.id, live, patch))) return;
  const detail = { executionId: execution.id };
  const said = { type: 'action-failed', reason, detail } as const;
  await parts.timeline.record(incident.id, said, { mitigatedAt: null });
  await escalate(parts, incident, reason, detail);
}

/** The flow that undoes; where it has ended and left the execution as it was, nobody undoes it any more. */
async function watchUndo(
  parts: RespondParts,
  incident: StoredIncident,
  execution: StoredExecution,
): Promise<void> {
  const launched = await launch(parts, execution, 'undo');
  if (launched === null || launched.runId === null) return;
  const run = await parts.levers.runs.get(launched.runId);
  if (run && isTerminalRun(run.state)) await fail(parts, incident, execution, 'flow-ended');
}

/** A flow that somebody cancelled, or that failed for good, acts no more: then nobody does. */
async function watchFlow(
  parts: RespondParts,
  incident: StoredIncident,
  execution: StoredExecution,
): Promise<void> {
  const since = Date.parse(execution.actedAt ?? execution.createdAt);
  if (execution.runId === null || parts.clock.now() - since < ORPHANED_AFTER_MS) return;
  const run = await parts.levers.runs.get(execution.runId);
  if (run && isTerminalRun(run.state)) await fail(parts, incident, execution, 'flow-ended');
}
