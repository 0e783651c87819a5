/**
 * The body of the durable flow that carries an execution. It may be started again at any point after a crash:
 * steps that are recorded are not made again, statuses are compared before they change, and results and
 * timeline lines are written once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { ActContext, Runbook } from '../domain/runbook.ts';
import type { ExecutionSteps } from './options.ts';
import { escalate, publicView, type RespondParts, textOf } from './respond.ts';
import {
  addResult,
  loadExecution,
  moveExecution,
  type StoredExecution,
} from './store/executions.ts';
import { isResolved, loadIncident, patchIncident, type StoredIncident } from './store/incidents.ts';
import { loadKillSwitch } from './store/settings.ts';
import { withoutZeroBytes } from './zero-bytes.ts';

const AGAIN_AFTER_MS = 5_000;

class KillSwitchOn extends Error {
  constructor() {
    super('the kill switch is on');
    this.name = 'KillSwitchOn';
  }
}

class IncidentOver extends Error {
  constructor() {
    super('the incident was resolved in the meantime');
    this.name = 'IncidentOver';
  }
}

interface Job {
  readonly parts: RespondParts;
  readonly runbook: Runbook;
  readonly incident: StoredIncident;
  readonly execution: StoredExecution;
  readonly steps: ExecutionSteps;
}

/** Acts, or undoes where the action did not help. */
export async function runExecution(
  parts: RespondParts,
  executionId: string,
  steps: ExecutionSteps,
): Promise<void> {
  const execution = await loadExecution(parts.db, executionId);
  const incident = execution && (await loadIncident(parts.db, execution.incidentId));
  const runbook = execution && parts.runbooks.find(({ id }) => id === execution.runbook);
  if (!execution || !incident || !runbook) return;
  const job: Job = { parts, runbook, incident, execution, steps };
  if (execution.status === 'verifying' && execution.verdict === 'not-recovered') {
    await undo(job, 'not-recovered');
  } else if (execution.status === 'approved' || execution.status === 'acting') {
    await act(job);
  }
}

async function act(job: Job): Promise<void> {
  const { parts, runbook, incident, execution, steps } = job;
  if (!(await begin(job))) return;
  const context = actContext(job);
  try {
    await runbook.act(context, execution.plan);
    const { results } = (await loadExecution(parts.db, execution.id)) ?? execution;
    if (results.length > 0 && results.every(({ ok }) => !ok)) {
      throw new Error(`no call succeeded: ${results.map(({ outcome }) => outcome).join(', ')}`);
    }
  } catch (error) {
    // Cut off, not failed: the flow goes on elsewhere from its last recorded step.
    if (steps.signal.aborted) throw error;
    if (error instanceof IncidentOver) return stopActing(job);
    await undo(job, error instanceof KillSwitchOn ? 'kill-switch' : 'action-failed', error);
    return;
  }
  const now = parts.clock.now();
  const patch = { status: 'verifying', actEndedAt: now } as const;
  if (!(await moveExecution(parts.db, execution.id, ['acting'], patch))) return;
  const detail = { executionId: execution.id };
  const said = { type: 'acted', reason: 'plan-carried-out', detail } as const;
  await parts.timeline.record(incident.id, said, { mitigatedFirstAt: now });
  parts.timeline.tell({ topic: 'execution', id: execution.id });
}

/** Somebody settled the matter: the rest of the plan is not carried out, and nothing is taken back. */
async function stopActing({ parts, execution }: Job): Promise<void> {
  const finishedAt = parts.clock.now();
  const patch = { status: 'skipped', verdict: 'unknown', finishedAt } as const;
  await moveExecution(parts.db, execution.id, ['acting'], patch);
  parts.timeline.tell({ topic: 'execution', id: execution.id });
}

/** Looks again before the first call: false where there is nothing to be done any more. */
async function begin({ parts, incident, execution }: Job): Promise<boolean> {
  const { db, timeline, clock } = parts;
  if (execution.status === 'acting') return true;
  const now = clock.now();
  const byItself = execution.mode === 'auto';
  if (incident.status === 'resolved' || (byItself && incident.clearSince !== null)) {
    const patch = {
      status: 'skipped',
      verdict: 'recovered-before-action',
      finishedAt: now,
    } as const;
    await moveExecution(db, execution.id, ['approved'], patch);
    const detail = { executionId: execution.id };
    const said = { type: 'response-skipped', reason: 'recovered-before-action', detail } as const;
    await timeline.record(incident.id, said);
    return false;
  }
  const patch = { status: 'acting', actedAt: now } as const;
  const moved = await moveExecution(db, execution.id, ['approved'], patch);
  if (!moved) return (await loadExecution(db, execution.id))?.status === 'acting';
  const detail = { executionId: execution.id, runbook: execution.runbook };
  const said = { type: 'acting', reason: execution.plan.diagnosis, detail } as const;
  await timeline.record(incident.id, said, { mitigatedAt: null });
  timeline.tell({ topic: 'execution', id: execution.id });
  return true;
}

function actContext({ parts, incident, execution, steps }: Job, scope = ''): ActContext {
  const { db, timeline, clock, levers } = parts;
  const step = async <T>(key: string, work: () => Promise<T>): Promise<T> => {
    steps.signal.throwIfAborted();
    if (await loadKillSwitch(db)) throw new KillSwitchOn();
    if (scope === '' && (await isResolved(db, incident.id))) throw new IncidentOver();
    return steps.step(`${scope}${key}`, work);
  };
  return {
    incident: publicView(incident),
    findings: execution.findings,
    parameters: execution.parameters,
    levers,
    clock,
    now: clock.now(),
    signal: steps.signal,
    executionId: execution.id,
    step,
    async waitUntil(key, condition, limitMs) {
      // The limit is kept from the first start on, however often the flow is started again.
      const since = await step(`since-${key}`, async () => clock.now());
      for (let waits = 0; ; waits++) {
        if (await condition()) return true;
        if (clock.now() - since > limitMs) return false;
        await delay(pauseAfter(waits), undefined, { signal: steps.signal });
      }
    },
    async report(result) {
      const at = new Date(clock.now()).toISOString();
      if (!(await addResult(db, execution.id, withoutZeroBytes({ ...result, at })))) return;
      const { key, ok, outcome, detail } = result;
      const call = execution.plan.calls.find((planned) => planned.key === key);
      const told = { executionId: execution.id, call: key, ok, ...detail, summary: call?.summary };
      await timeline.record(incident.id, { type: 'acted', reason: outcome, detail: told });
      timeline.tell({ topic: 'execution', id: execution.id });
    },
    async mitigated(reason) {
      const now = await loadIncident(db, incident.id);
      if (now?.mitigatedAt !== null) return;
      const detail = { executionId: execution.id };
      const said = { type: 'acted', reason, detail } as const;
      await timeline.record(incident.id, said, { mitigatedFirstAt: clock.now() });
    },
  };
}

/** Short pauses at first; what takes minutes is not asked for five times a second. */
function pauseAfter(waits: number): number {
  if (waits < 25) return 200;
  return waits < 100 ? 500 : 1_000;
}

/** Takes back what can be taken back, and tells why. */
async function undo(job: Job, reason: string, error?: unknown): Promise<void> {
  const { parts, runbook, incident, execution, steps } = job;
  const { db, timeline, clock } = parts;
  let undone = false;
  if (runbook.undo && reason !== 'kill-switch' && execution.plan.calls.some((call) => call.undo)) {
    try {
      await runbook.undo(actContext(job, 'undo-'), execution.plan);
      undone = true;
    } catch (fault) {
      if (steps.signal.aborted) throw fault;
      parts.log(`execution ${execution.id} could not be undone: ${textOf(fault)}`);
    }
  }
  const status = undone ? 'undone' : 'failed';
  const now = clock.now();
  const patch = { status, verdict: 'not-recovered', finishedAt: now } as const;
  if (!(await moveExecution(db, execution.id, ['acting', 'verifying'], patch))) return;
  const detail = {
    executionId: execution.id,
    ...(error === undefined ? {} : { error: textOf(error) }),
  };
  const type = undone ? 'undone' : 'action-failed';
  await timeline.record(incident.id, { type, reason, detail }, { mitigatedAt: null });
  timeline.tell({ topic: 'execution', id: execution.id });
  if (reason === 'action-failed') {
    await patchIncident(db, incident.id, { respondAfter: now + AGAIN_AFTER_MS });
  } else {
    await escalate(parts, incident, reason, detail);
  }
}
