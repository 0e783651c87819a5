/** What people do with runbooks: look at a plan, start one, approve or reject one. */
import { randomUUID } from 'node:crypto';
import { SignalboxError } from '../domain/errors.ts';
import type { Execution, Plan, Runbook } from '../domain/runbook.ts';
import {
  announce,
  findingOf,
  guard,
  launch,
  makePlan,
  type RespondParts,
  targetOf,
} from './respond.ts';
import { checkParameters } from './runbook-parameters.ts';
import {
  insertExecution,
  loadExecution,
  loadLive,
  moveExecution,
  publicExecution,
  type StoredExecution,
} from './store/executions.ts';
import { loadIncident, type StoredIncident } from './store/incidents.ts';
import { loadKillSwitch, loadModes } from './store/settings.ts';

export interface ResponseRequest {
  readonly incidentId: string;
  readonly parameters?: Record<string, unknown>;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** @throws SignalboxError `not-found` */
export async function findIncident(
  parts: Pick<RespondParts, 'db'>,
  id: string,
): Promise<StoredIncident> {
  const found = UUID.test(id) ? await loadIncident(parts.db, id) : null;
  if (!found) throw new SignalboxError('not-found', `there is no incident ${id}`);
  return found;
}

/** @throws SignalboxError `not-found` */
export async function findExecution(
  parts: Pick<RespondParts, 'db'>,
  id: string,
): Promise<StoredExecution> {
  const found = UUID.test(id) ? await loadExecution(parts.db, id) : null;
  if (!found) throw new SignalboxError('not-found', `there is no execution ${id}`);
  return found;
}

/** @throws SignalboxError `not-found` */
export function findRunbook(parts: Pick<RespondParts, 'runbooks'>, id: string): Runbook {
  const found = parts.runbooks.find((runbook) => runbook.id === id);
  if (!found) throw new SignalboxError('not-found', `there is no runbook ${id}`);
  return found;
}

/** The plan as it would be made now; nothing is stored. */
export async function planByHand(
  parts: RespondParts,
  runbookId: string,
  { incidentId, parameters = {} }: ResponseRequest,
): Promise<Plan> {
  const runbook = findRunbook(parts, runbookId);
  const incident = await findIncident(parts, incidentId);
  if (!runbook.kinds.includes(incident.kind)) {
    throw new SignalboxError('conflict', `${runbook.id} has no remedy for ${incident.kind}`);
  }
  checkParameters(runbook, parameters);
  return makePlan(parts, runbook, incident, parameters);
}

/** Starts a runbook by hand, or asks for approval where its mode wants one. */
export async function executeByHand(
  parts: RespondParts,
  runbookId: string,
  request: ResponseRequest,
  actor: string,
): Promise<Execution> {
  const { db, clock } = parts;
  const plan = await planByHand(parts, runbookId, request);
  const runbook = findRunbook(parts, runbookId);
  const incident = await findIncident(parts, request.incidentId);
  if (incident.status === 'resolved')
    throw new SignalboxError('conflict', 'the incident is resolved');
  if (plan.refusal !== null) throw new SignalboxError('conflict', `the plan says: ${plan.refusal}`);
  const [modes, killSwitch] = await Promise.all([loadModes(db), loadKillSwitch(db)]);
  const standing = { modes, killSwitch };
  const guardrails = await guard(parts, incident, runbook, standing, plan.calls.length);
  if (guardrails.forbidden) {
    const { name, detail } = guardrails.forbidden;
    throw new SignalboxError('guardrail', `${name}: ${detail}`);
  }
  await supersede(parts, incident.id);
  const mode = modes.get(runbook.id) ?? runbook.defaultMode;
  const execution = await insertExecution(db, {
    ...{ id: randomUUID(), incidentId: incident.id, target: targetOf(incident) },
    status: mode === 'approve' ? 'awaiting-approval' : 'approved',
    ...{ runbook: runbook.id, mode: mode === 'approve' ? 'approve' : 'suggest' },
    ...{ plan, parameters: request.parameters ?? {}, findings: [findingOf(incident)] },
    ...{ guardrails: guardrails.all, requestedBy: actor, at: clock.now() },
  });
  if (!execution) throw new SignalboxError('conflict', 'another response is under way');
  await announce(parts, execution);
  const started = execution.status === 'approved' ? await launch(parts, execution, 'act') : null;
  return publicExecution(started ?? execution);
}

/** A suggestion that nobody took up gives way to what a person starts. */
async function supersede(parts: RespondParts, incidentId: string): Promise<void> {
  const live = (await loadLive(parts.db)).find((one) => one.incidentId === incidentId);
  if (live?.status !== 'planned') return;
  const patch = { status: 'skipped', finishedAt: parts.clock.now() } as const;
  await moveExecution(parts.db, live.id, ['planned'], patch);
}

/** @throws SignalboxError `approver-is-requester`, `conflict` where nothing waits for approval */
export async function approve(
  parts: RespondParts,
  executionId: string,
  actor: string,
): Promise<Execution> {
  const execution = await findExecution(parts, executionId);
  if (execution.requestedBy === actor) throw new SignalboxError('approver-is-requester');
  const from = ['planned', 'awaiting-approval'] as const;
  const patch = { status: 'approved', approvedBy: actor } as const;
  const moved = await moveExecution(parts.db, executionId, from, patch);
  if (!moved) throw new SignalboxError('conflict', `the execution is ${execution.status}`);
  const detail = { executionId };
  const said = { type: 'approved', reason: 'approved-by-person', actor, detail } as const;
  await parts.timeline.record(moved.incidentId, said);
  return publicExecution((await launch(parts, moved, 'act')) ?? moved);
}

/** @throws SignalboxError `conflict` where nothing waits for approval */
export async function reject(
  parts: RespondParts,
  executionId: string,
  actor: string,
  reason: string,
): Promise<Execution> {
  const execution = await findExecution(parts, executionId);
  const from = ['planned', 'awaiting-approval'] as const;
  const patch = { status: 'rejected', finishedAt: parts.clock.now() } as const;
  const moved = await moveExecution(parts.db, executionId, from, patch);
  if (!moved) throw new SignalboxError('conflict', `the execution is ${execution.status}`);
  const detail = { executionId, text: reason };
  const said = { type: 'rejected', reason: 'rejected-by-person', actor, detail } as const;
  // Whoever rejects a remedy takes the incident in hand.
  await parts.timeline.record(moved.incidentId, said, { needsHuman: true });
  parts.timeline.tell({ topic: 'execution', id: executionId });
  return publicExecution(moved);
}
