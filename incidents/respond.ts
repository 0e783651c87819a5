/**
 * Chooses what is done about an incident: the runbook that handles it, in its mode, within its guardrails. The
 * plan is made and stored before anything acts. What is not done is told once, with its reason, and looked at
 * again after a pause.
 */
import { randomUUID } from 'node:crypto';
import type { Finding } from '../domain/finding.ts';
import type {
  ExecutionStatus,
  GuardrailState,
  Plan,
  Runbook,
  RunbookMode,
} from '../domain/runbook.ts';
import { forbidding, judgeGuardrails } from './guardrails.ts';
import type { InTurn } from './in-turn.ts';
import { branchOf } from './of-branch.ts';
import type { IncidentsOptions } from './options.ts';
import {
  executionsOf,
  insertExecution,
  moveExecution,
  readUsage,
  type StoredExecution,
} from './store/executions.ts';
import { patchIncident, type StoredIncident } from './store/incidents.ts';
import { SELF, type Timeline } from './timeline.ts';
import { withoutZeroBytes } from './zero-bytes.ts';

const PLAN_LIMIT_MS = 15_000;
const RETRY_MS = 3_000;
const OBSERVE_AGAIN_MS = 60_000;
/** A remedy that is refused for so long needs a person. */
const REFUSED_LIMIT_MS = 30_000;

export interface RespondParts extends IncidentsOptions {
  readonly timeline: Timeline;
  readonly inTurn: InTurn;
}

export interface Standing {
  readonly modes: ReadonlyMap<string, RunbookMode>;
  readonly killSwitch: boolean;
}

/** Whether the incident waits for an answer now. */
export function wantsResponse(incident: StoredIncident, now: number): boolean {
  return (
    !incident.needsHuman &&
    incident.clearSince === null &&
    incident.status !== 'resolved' &&
    (incident.respondAfter === null || incident.respondAfter <= now)
  );
}

/** Answers an incident that has no response under way. */
export async function respond(
  parts: RespondParts,
  incident: StoredIncident,
  standing: Standing,
): Promise<void> {
  const branch = branchOf(incident);
  if (branch !== null) return leaveToBranch(parts, incident, branch);
  const runbook = parts.runbooks.find(
    (one) => one.kinds.includes(incident.kind) && one.handles(publicView(incident)),
  );
  if (!runbook) return escalate(parts, incident, 'no-runbook-handles-it', {});
  const mode = standing.modes.get(runbook.id) ?? runbook.defaultMode;
  const detail = { runbook: runbook.id, mode };
  if (mode === 'observe') return skip(parts, incident, 'mode-observe', detail, OBSERVE_AGAIN_MS);
  const before = await guard(parts, incident, runbook, standing, 0);
  if (mode === 'auto' && before.forbidden) {
    return forbid(parts, incident, before.forbidden.name, { ...detail, guardrails: before.all });
  }
  let plan: Plan;
  try {
    plan = await makePlan(parts, runbook, incident, {});
  } catch (error) {
    return skip(parts, incident, 'plan-failed', { ...detail, error: textOf(error) }, RETRY_MS);
  }
  if (plan.refusal !== null) return refuse(parts, incident, plan);
  const status = statusFor(mode);
  const { after, execution } = await parts.inTurn(async () => {
    const after = await guard(parts, incident, runbook, standing, plan.calls.length);
    if (mode === 'auto' && after.forbidden) return { after, execution: null };
    const execution = await insertExecution(parts.db, {
      ...{ id: randomUUID(), incidentId: incident.id, target: targetOf(incident) },
      ...{ runbook: runbook.id, status, mode, parameters: {}, plan, requestedBy: SELF },
      ...{ findings: [findingOf(incident)], guardrails: after.all, at: parts.clock.now() },
    });
    return { after, execution };
  });
  if (mode === 'auto' && after.forbidden) {
    return forbid(parts, incident, after.forbidden.name, { ...detail, guardrails: after.all });
  }
  if (!execution) return;
  await announce(parts, execution);
  if (status === 'approved') await launch(parts, execution, 'act');
}

function statusFor(mode: RunbookMode): ExecutionStatus {
  if (mode === 'auto') return 'approved';
  return mode === 'approve' ? 'awaiting-approval' : 'planned';
}

/** The plan as the runbook makes it now. */
export async function makePlan(
  parts: Pick<RespondParts, 'levers' | 'clock'>,
  runbook: Runbook,
  incident: StoredIncident,
  parameters: Readonly<Record<string, unknown>>,
): Promise<Plan> {
  const signal = AbortSignal.timeout(PLAN_LIMIT_MS);
  const late = new Promise<never>((_resolve, reject) => {
    const fail = () => reject(new Error(`${runbook.id} made no plan within ${PLAN_LIMIT_MS} ms`));
    signal.addEventListener('abort', fail, { once: true });
  });
  const planned = runbook.plan({
    incident: publicView(incident),
    findings: [findingOf(incident)],
    parameters,
    levers: parts.levers,
    now: parts.clock.now(),
    signal,
  });
  return withoutZeroBytes(await Promise.race([planned, late]));
}

/** What the evidence says of the incident, as its detector put it. */
export function findingOf(incident: StoredIncident): Finding {
  const { kind, fingerprint, severity, title, rootCause, diagnosis } = incident;
  const { subjects, affected, evidence } = incident;
  return {
    ...{ kind, fingerprint, severity, title, rootCause, diagnosis, subjects, affected, evidence },
    status: 'firing',
    since: Date.parse(incident.evidenceAt),
    reason: incident.kind,
  };
}

/** An incident as runbooks see it: they have no use for its timeline. */
export function publicView({
  clearSince,
  respondAfter,
  skipReason,
  refusedSince,
  ...incident
}: StoredIncident) {
  return { ...incident, timeline: [], executions: [] };
}

/**
 * What a pause between two responses goes by: the same remedy for the same trouble. A server that leaked a
 * minute ago may well be short of room now, which needs another remedy.
 */
export function targetOf({ fingerprint, diagnosis }: StoredIncident): string {
  return diagnosis === null ? fingerprint : `${fingerprint}:${diagnosis}`;
}

/** All guardrails, and the one that forbids. */
export async function guard(
  { db, clock }: Pick<RespondParts, 'db' | 'clock'>,
  incident: StoredIncident,
  runbook: Runbook,
  { killSwitch }: Standing,
  calls: number,
) {
  const now = clock.now();
  const usage = await readUsage(db, {
    ...{ runbook: runbook.id, target: targetOf(incident), incidentId: incident.id, now },
  });
  const all = judgeGuardrails(runbook, usage, { killSwitch, calls, now });
  return { all, forbidden: forbidding(all) };
}

/** Tells the timeline what was planned. */
export async function announce(
  { timeline }: Pick<RespondParts, 'timeline'>,
  execution: StoredExecution,
): Promise<void> {
  const { id, runbook, mode, plan, requestedBy } = execution;
  const detail = {
    executionId: id,
    runbook,
    diagnosis: plan.diagnosis,
    reasons: plan.reasons,
    calls: plan.calls.map(({ summary }) => summary),
  };
  const type = execution.status === 'awaiting-approval' ? 'approval-requested' : 'planned';
  const said = { type, reason: `mode-${mode}`, actor: requestedBy, detail } as const;
  await timeline.record(execution.incidentId, said, { skipReason: null, refusedSince: null });
  timeline.tell({ topic: 'execution', id });
}

/**
 * Starts the durable flow that carries an execution out; harmless when repeated.
 * @returns the execution with the flow's run; null where it could not be started now
 */
export async function launch(
  { db, startRun, timeline, log }: Pick<RespondParts, 'db' | 'startRun' | 'timeline' | 'log'>,
  execution: StoredExecution,
  part: 'act' | 'undo',
): Promise<StoredExecution | null> {
  try {
    const { runId } = await startRun(execution.id, `execution/${execution.id}/${part}`);
    const live = ['approved', 'acting', 'verifying'] as const;
    const moved = await moveExecution(db, execution.id, live, { runId });
    timeline.tell({ topic: 'execution', id: execution.id });
    return moved ?? { ...execution, runId };
  } catch (error) {
    // The next round starts it again under the same key.
    log(`execution ${execution.id} could not be started: ${textOf(error)}`);
    return null;
  }
}

/** Whether a further plan would do something that the last one did not. */
export function differs(plan: Plan, earlier: Plan): boolean {
  const known = new Set(earlier.calls.map((call) => JSON.stringify([call.lever, call.arguments])));
  return plan.calls.some((call) => !known.has(JSON.stringify([call.lever, call.arguments])));
}

/** Calls a person; nothing acts by itself on this incident from then on. */
export async function escalate(
  { timeline }: Pick<RespondParts, 'timeline'>,
  incident: Pick<StoredIncident, 'id'>,
  reason: string,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  await timeline.record(incident.id, { type: 'escalated', reason, detail }, { needsHuman: true });
}

async function skip(
  { db, timeline, clock }: RespondParts,
  incident: StoredIncident,
  reason: string,
  detail: Readonly<Record<string, unknown>>,
  pauseMs: number,
): Promise<void> {
  const patch = { skipReason: reason, respondAfter: clock.now() + pauseMs };
  if (incident.skipReason === reason) return patchIncident(db, incident.id, patch);
  await timeline.record(incident.id, { type: 'response-skipped', reason, detail }, patch);
}

/** People may act there by hand. */
function leaveToBranch(
  parts: RespondParts,
  incident: StoredIncident,
  environment: string,
): Promise<void> {
  const detail = `of the environment ${environment}: nothing acts by itself there`;
  const guardrails: readonly GuardrailState[] = [{ name: 'environment', allows: false, detail }];
  const said = { environment, guardrails };
  return skip(parts, incident, 'guardrail-environment', said, OBSERVE_AGAIN_MS);
}

/** Some guardrails open again by themselves; the others need a person. */
async function forbid(
  parts: RespondParts,
  incident: StoredIncident,
  guardrail: string,
  detail: Readonly<Record<string, unknown>>,
): Promise<void> {
  const reason = `guardrail-${guardrail}`;
  await skip(parts, incident, reason, detail, RETRY_MS);
  const final = ['max-calls', 'stop-after-failures', 'responses-to-one-incident'];
  if (final.includes(guardrail)) await escalate(parts, incident, reason, {});
}

async function refuse(parts: RespondParts, incident: StoredIncident, plan: Plan): Promise<void> {
  const reason = plan.refusal ?? 'refused';
  const now = parts.clock.now();
  const detail = { runbook: plan.runbook, diagnosis: plan.diagnosis, reasons: plan.reasons };
  await skip(parts, incident, reason, detail, RETRY_MS);
  if (incident.refusedSince === null) {
    await patchIncident(parts.db, incident.id, { refusedSince: now });
  } else if (now - incident.refusedSince > REFUSED_LIMIT_MS) {
    const tried = await executionsOf(parts.db, incident.id);
    await escalate(parts, incident, reason, { ...detail, executions: tried.length });
  }
}

/** The text of whatever was thrown. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
