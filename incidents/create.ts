/**
 * Incidents put together. Everything but listeners is in Postgres, so any number of servers may hold one each;
 * a round that two servers make at the same time does no more than one.
 */
import { listPrefix } from '../domain/environment.ts';
import { SignalboxError } from '../domain/errors.ts';
import type { Detector } from '../domain/finding.ts';
import { INCIDENT_STATUSES, type Incident, type IncidentStatus } from '../domain/incident.ts';
import { RUNBOOK_MODES, type Runbook } from '../domain/runbook.ts';
import { backtest } from './backtest.ts';
import {
  approve,
  executeByHand,
  findExecution,
  findIncident,
  findRunbook,
  planByHand,
  reject,
} from './by-hand.ts';
import { parseSettings, summarizeDetectors } from './detector-settings.ts';
import { detectors as allDetectors } from './detectors/index.ts';
import { runExecution } from './execute.ts';
import { createTurns } from './in-turn.ts';
import type { ExecutionSteps, IncidentsOptions } from './options.ts';
import type { RespondParts } from './respond.ts';
import { createRounds } from './rounds.ts';
import type { DetectorSummary, IncidentQuery, Incidents, RunbookSummary } from './service.ts';
import { publicExecution } from './store/executions.ts';
import { type Db, deleteIncidentsOf, listIncidents, withTimelines } from './store/incidents.ts';
import {
  loadDetectorSettings,
  loadKillSwitch,
  loadModes,
  saveDetectorSetting,
  saveKillSwitch,
  saveMode,
} from './store/settings.ts';
import { createTimeline } from './timeline.ts';

const LIST_USUAL = 100;
const LIST_MOST = 1_000;

export interface RunnableIncidents extends Incidents {
  /** Body of the durable flow that `startRun` starts. */
  runExecution(executionId: string, steps: ExecutionSteps): Promise<void>;
}

/** Makes the incidents; nothing runs before the server runs the reconcilers. */
export function createIncidents(options: IncidentsOptions): RunnableIncidents {
  const timeline = createTimeline(options);
  const detectors = withLease(allDetectors, options.leaseMs);
  const parts: RespondParts = { ...options, timeline, inTurn: createTurns() };
  return {
    ...incidentActions(parts),
    forget: (environment) => deleteIncidentsOf(options.db, environment),
    ...detectorActions(options, detectors),
    ...runbookActions(parts),
    reconcilers: createRounds({ ...parts, detectors }),
    onChange: timeline.onChange,
    runExecution: (executionId, steps) => runExecution(parts, executionId, steps),
  };
}

/** The lease is the server's to set; the detector of lost agents goes by it. */
function withLease(detectors: readonly Detector[], leaseMs: number | undefined) {
  if (leaseMs === undefined) return detectors;
  return detectors.map((detector) =>
    'leaseMs' in detector.defaults
      ? { ...detector, defaults: { ...detector.defaults, leaseMs } }
      : detector,
  );
}

function incidentActions(
  parts: RespondParts,
): Pick<Incidents, 'list' | 'get' | 'acknowledge' | 'resolve' | 'note'> {
  const { db, clock, timeline } = parts;
  const get = async (id: string): Promise<Incident> => {
    const [incident] = await withTimelines(db, [await findIncident(parts, id)]);
    return incident as Incident;
  };
  const refused = async (id: string): Promise<never> => {
    const { status } = await findIncident(parts, id);
    throw new SignalboxError('conflict', `the incident is ${status}`);
  };
  return {
    list: (query) => list(db, query),
    get,
    async acknowledge(id, actor) {
      await findIncident(parts, id);
      const said = { type: 'acknowledged', reason: 'by-person', actor } as const;
      const moved = await timeline.record(id, said, { acknowledgedAt: clock.now() });
      return moved ? get(id) : refused(id);
    },
    async resolve(id, actor, reason) {
      await findIncident(parts, id);
      const detail = { text: reason };
      const said = { type: 'resolved', reason: 'by-person', actor, detail } as const;
      const now = clock.now();
      const patch = { resolvedAt: now, mitigatedFirstAt: now, needsHuman: false };
      const moved = await timeline.record(id, said, patch);
      return moved ? get(id) : refused(id);
    },
    async note(id, actor, text) {
      await findIncident(parts, id);
      const said = { type: 'note', reason: 'by-person', actor, detail: { text } } as const;
      await timeline.record(id, said);
      return get(id);
    },
  };
}

async function list(db: Db, query: IncidentQuery) {
  const limit = Math.min(Math.max(1, query.limit ?? LIST_USUAL), LIST_MOST);
  const before = query.cursor ?? null;
  if (before !== null && !/^\d{1,18}$/.test(before)) throw new SignalboxError('invalid-cursor');
  if (query.status !== undefined && !isStatus(query.status)) {
    throw new SignalboxError('invalid-request', `status is one of ${INCIDENT_STATUSES.join(', ')}`);
  }
  const found = await listIncidents(db, {
    status: query.status ?? null,
    kind: query.kind ?? null,
    before,
    prefix: listPrefix(query.environment),
    limit: limit + 1,
  });
  const items = await withTimelines(db, found.slice(0, limit));
  const last = items.at(-1);
  return { items, nextCursor: found.length > limit && last ? String(last.number) : null };
}

function isStatus(value: string): value is IncidentStatus {
  return (INCIDENT_STATUSES as readonly string[]).includes(value);
}

function detectorActions(
  options: IncidentsOptions,
  detectors: readonly Detector[],
): Pick<Incidents, 'detectors' | 'setDetector' | 'backtest'> {
  const { db, clock } = options;
  const find = (id: string): Detector => {
    const found = detectors.find((detector) => detector.id === id);
    if (!found) throw new SignalboxError('not-found', `there is no detector ${id}`);
    return found;
  };
  return {
    detectors: () => summarizeDetectors(db, detectors),
    async setDetector(id, value, actor) {
      const detector = find(id);
      const settings = parseSettings(detector, value.settings ?? {});
      const set = { enabled: value.enabled ?? null, settings };
      await saveDetectorSetting(db, id, set, actor, clock.now());
      const [summary] = await summarizeDetectors(db, [detector]);
      return summary as DetectorSummary;
    },
    async backtest(id, fromMs, toMs, stepMs) {
      const detector = find(id);
      const [set, assets] = await Promise.all([loadDetectorSettings(db), options.context()]);
      const settings = { ...detector.defaults, ...set.get(id)?.settings };
      const query = options.query.bind(options);
      return backtest({ detector, settings, assets, fromMs, toMs, stepMs, query });
    },
  };
}

function runbookActions(
  parts: RespondParts,
): Pick<
  Incidents,
  | 'runbooks'
  | 'setRunbookMode'
  | 'plan'
  | 'execute'
  | 'execution'
  | 'approve'
  | 'reject'
  | 'setKillSwitch'
  | 'killSwitch'
> {
  const { db, clock } = parts;
  const summarize = async (runbooks: readonly Runbook[]): Promise<RunbookSummary[]> => {
    const modes = await loadModes(db);
    return runbooks.map(({ id, title, summary, kinds, defaultMode, guardrails }) => ({
      ...{ id, title, summary, kinds, mode: modes.get(id) ?? defaultMode },
      guardrails: { ...guardrails },
    }));
  };
  return {
    runbooks: () => summarize(parts.runbooks),
    async setRunbookMode(id, mode, actor) {
      const runbook = findRunbook(parts, id);
      if (!RUNBOOK_MODES.includes(mode)) {
        throw new SignalboxError('invalid-request', `mode is one of ${RUNBOOK_MODES.join(', ')}`);
      }
      await saveMode(db, id, mode, actor, clock.now());
      const [summary] = await summarize([runbook]);
      return summary as RunbookSummary;
    },
    plan: (id, request) => planByHand(parts, id, request),
    execute: (id, request, actor) => executeByHand(parts, id, request, actor),
    execution: async (id) => publicExecution(await findExecution(parts, id)),
    approve: (id, actor) => approve(parts, id, actor),
    reject: (id, actor, reason) => reject(parts, id, actor, reason),
    setKillSwitch: (on, actor) => saveKillSwitch(db, on, actor, clock.now()),
    killSwitch: () => loadKillSwitch(db),
  };
}
