/**
 * The two background steps. Detection looks, then correlates. Response goes on with whatever is open; what
 * takes long for one incident (a server that does not answer) holds up no other.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Detector } from '../domain/finding.ts';
import { correlate } from './correlate.ts';
import { detect } from './detect.ts';
import { setting } from './detectors/rows.ts';
import { type RespondParts, respond, textOf, wantsResponse } from './respond.ts';
import { loadLive, type StoredExecution } from './store/executions.ts';
import { loadUnresolved, type StoredIncident } from './store/incidents.ts';
import {
  loadDetectorSettings,
  loadKillSwitch,
  loadModes,
  loadRounds,
  saveRounds,
} from './store/settings.ts';
import { closeIfClear, closeOrphan, type Patience, watchExecution } from './verify.ts';

const EVERY_MS = 1_000;
const RESPOND_EVERY_MS = 500;
/** Evidence that is older says nothing about now. */
const FRESH_ROUNDS = 10;
const RESPOND_WAIT_MS = 2_000;

export interface RoundParts extends RespondParts {
  readonly detectors: readonly Detector[];
}

/** The reconcilers, to be run by the server. */
export function createRounds(parts: RoundParts) {
  const everyMs = parts.everyMs ?? EVERY_MS;
  const underWay = new Set<string>();
  return [
    { name: 'incidents-detect', everyMs, run: () => detectRound(parts) },
    {
      name: 'incidents-respond',
      everyMs: Math.min(everyMs, RESPOND_EVERY_MS),
      run: () => respondRound(parts, everyMs, underWay),
    },
  ];
}

async function detectRound(parts: RoundParts): Promise<void> {
  const { db, clock, detectors, timeline } = parts;
  const [settings, assets] = await Promise.all([loadDetectorSettings(db), parts.context()]);
  const now = clock.now();
  const rounds = await detect({
    ...{ detectors, settings, assets, now },
    query: (query) => parts.query(query),
    stopwatch: () => performance.now(),
  });
  for (const { state, detector, error } of rounds) {
    if (state === 'failed') parts.log(`detector ${detector} failed: ${error}`);
  }
  await correlate({ db, timeline, now: clock.now() }, rounds);
  await saveRounds(db, rounds);
}

async function respondRound(
  parts: RoundParts,
  everyMs: number,
  underWay: Set<string>,
): Promise<void> {
  const { db } = parts;
  const [incidents, live, modes, killSwitch, patienceOf] = await Promise.all([
    loadUnresolved(db),
    loadLive(db),
    loadModes(db),
    loadKillSwitch(db),
    readPatience(parts, everyMs),
  ]);
  const open = new Set(incidents.map(({ id }) => id));
  for (const execution of live.filter(({ incidentId }) => !open.has(incidentId))) {
    await closeOrphan(parts, execution);
  }
  const started = incidents
    .filter(({ id }) => !underWay.has(id))
    .map(async (incident) => {
      underWay.add(incident.id);
      try {
        const execution = live.find(({ incidentId }) => incidentId === incident.id);
        await goOn(parts, incident, execution, patienceOf(incident.kind), { modes, killSwitch });
      } catch (error) {
        parts.log(`incident ${incident.number} could not be answered: ${textOf(error)}`);
      } finally {
        underWay.delete(incident.id);
      }
    });
  const limit = new AbortController();
  const waited = delay(RESPOND_WAIT_MS, undefined, { signal: limit.signal }).catch(() => undefined);
  await Promise.race([Promise.all(started), waited]);
  limit.abort();
}

async function goOn(
  parts: RoundParts,
  incident: StoredIncident,
  execution: StoredExecution | undefined,
  patience: Patience,
  standing: Parameters<typeof respond>[2],
): Promise<void> {
  if (execution) return watchExecution(parts, incident, execution, patience);
  if (incident.clearSince !== null) return closeIfClear(parts, incident, undefined, patience);
  if (!patience.evidenceIsFresh || !wantsResponse(incident, parts.clock.now())) return;
  // Its recovery was seen, and now nobody can tell: nothing is answered that does not fire.
  if (incident.status === 'mitigated') return;
  await respond(parts, incident, standing);
}

/** How long each kind's evidence must stay clear, and whether it is fresh. */
async function readPatience(parts: RoundParts, everyMs: number) {
  const [rounds, settings] = await Promise.all([
    loadRounds(parts.db),
    loadDetectorSettings(parts.db),
  ]);
  const now = parts.clock.now();
  return (kind: string): Patience => {
    const detector = parts.detectors.find((one) => one.kind === kind);
    const round = detector && rounds.get(detector.id);
    const set = { ...detector?.defaults, ...(detector && settings.get(detector.id)?.settings) };
    const could = round?.state === 'ok' || round?.state === 'firing';
    return {
      holdMs: setting(set, 'holdMs'),
      verifyLimitMs: setting(set, 'verifyLimitMs'),
      evidenceIsFresh: could && now - (round?.at ?? 0) <= FRESH_ROUNDS * everyMs,
    };
  };
}
