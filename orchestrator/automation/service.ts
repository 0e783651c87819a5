/** Automation as the API sees it: how an asset stands and why, what it found before, pausing and resuming. */
import type {
  AssetAutomation,
  AutomationDecision,
  AutomationEvaluation,
  AutomationPause,
} from '../../domain/automation.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { type Clock, toRfc3339 } from '../../domain/time.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import { isUuid } from '../runs/identifiers.ts';
import { nextInstant } from '../schedule/cron.ts';
import type { Page, PageQuery } from '../service.ts';
import { findAsset } from '../store/asset.ts';
import {
  type AutomationRow,
  findAutomation,
  readAllPaused,
  setAllPaused,
  setAutomationPaused,
} from '../store/automation.ts';
import {
  type EvaluationRow,
  listEvaluations,
  readCurrentStates,
} from '../store/automation-state.ts';
import type { Db } from '../store/connection.ts';
import { cronsOf } from './condition.ts';
import { toSummary } from './summary.ts';
import { moment, textOf } from './words.ts';

export interface EvaluationQuery extends PageQuery {
  readonly partition?: string;
  readonly decision?: AutomationDecision;
}

export interface AutomationService {
  /** @throws SignalboxError `not-found` for an asset nobody knows, or that is not automated */
  get(key: string): Promise<AssetAutomation>;
  /** Looks that found something else than the one before, the latest first. */
  evaluations(key: string, query: EvaluationQuery): Promise<Page<AutomationEvaluation>>;
  /** Pauses the automation of an asset, or lets it go on; what was called for meanwhile is asked for then. */
  setPaused(
    key: string,
    paused: boolean,
    actor: { readonly name: string },
  ): Promise<AssetAutomation>;
  /** Since when all automation is paused; null where it is not. */
  pauseOfAll(): Promise<AutomationPause | null>;
  setAllPaused(paused: boolean, actor: { readonly name: string }): Promise<AutomationPause | null>;
}

/** Partitions of an asset that are shown. */
const MAX_SHOWN = 100;

export interface AutomationServiceDeps {
  readonly db: Db;
  readonly clock: Clock;
  changed(topic: 'asset', id: string): void;
}

export function createAutomationService(deps: AutomationServiceDeps): AutomationService {
  const { db, clock } = deps;
  const pauseOfAll = async () => {
    const all = await readAllPaused(db);
    return all && { at: all.at.toISOString(), by: all.by, all: true };
  };
  async function get(key: string): Promise<AssetAutomation> {
    const row = await findAutomation(db, key);
    if (!row) throw await notAutomated(db, key);
    const [states, all] = await Promise.all([readCurrentStates(db, key, MAX_SHOWN), pauseOfAll()]);
    return toAutomation(row, states, all, clock.now());
  }
  return {
    get,
    pauseOfAll,
    async evaluations(key, query) {
      const { after, limit } = readPageQuery(query);
      if (after !== null && !isUuid(after)) throw new SignalboxError('invalid-cursor');
      const { partition = null, decision = null } = query;
      const rows = await listEvaluations(db, key, { after, limit: limit + 1, partition, decision });
      if (rows.length === 0 && !(await findAutomation(db, key))) throw await notAutomated(db, key);
      return toPage(rows, limit, (row) => row.id, fromRow);
    },
    async setPaused(key, paused, actor) {
      const by = paused ? actor.name : null;
      if (!(await setAutomationPaused(db, key, by, new Date(clock.now())))) {
        throw await notAutomated(db, key);
      }
      deps.changed('asset', key);
      return get(key);
    },
    async setAllPaused(paused, actor) {
      const by = paused ? actor.name : null;
      await db.transaction((tx) => setAllPaused(tx, by, new Date(clock.now())));
      deps.changed('asset', '*');
      return pauseOfAll();
    },
  };
}

async function notAutomated(db: Db, key: string): Promise<SignalboxError> {
  const known = (await findAsset(db, key)) !== undefined;
  return new SignalboxError(
    'not-found',
    known
      ? `${key} has no automation: give it one in code, such as automation: eager()`
      : `asset ${key}`,
  );
}

function toAutomation(
  row: AutomationRow,
  states: readonly EvaluationRow[],
  all: AutomationPause | null,
  now: number,
): AssetAutomation {
  const { condition } = row.definition;
  const summary = toSummary(row, all !== null);
  const own =
    row.paused_at === null
      ? null
      : { at: row.paused_at.toISOString(), by: row.paused_by ?? '', all: false };
  const ticks = cronsOf(condition).flatMap((cron) => nextInstant(cron, now) ?? []);
  const current = states.map(fromRow);
  return {
    ...summary,
    assetKey: row.asset_key,
    definition: row.definition,
    text: textOf(condition),
    summary: summaryOf(row),
    since: current[0]?.at ?? null,
    pause: own ?? all,
    evaluatedAt: toRfc3339(row.evaluated_at),
    nextTickAt: ticks.length === 0 ? null : toRfc3339(Math.min(...ticks)),
    lastRequest: row.last_request && {
      ...row.last_request,
      at: new Date(row.last_request.at).toISOString(),
    },
    error: row.error,
    current,
  };
}

/** `not requested: waits for warehouse/raw_orders, in progress in run … (since 2026-…)`. */
function summaryOf({ state, reason, held, held_since: since }: AutomationRow): string {
  const words = reason?.message ?? '';
  if (state === 'pending') return 'not looked at yet';
  if (state === 'requested') return `requested: ${words}`;
  if (state === 'idle') return `not requested: ${words}`;
  const more = held > 1 ? `, ${held} partitions` : '';
  return `not requested: ${words} (held back since ${moment(since?.getTime() ?? 0)}${more})`;
}

function fromRow(row: EvaluationRow): AutomationEvaluation {
  const { reason, condition, gates } = row.evaluation;
  return {
    ...{ id: row.id, assetKey: row.asset_key, partition: row.partition || null },
    ...{ at: row.at.toISOString(), decision: row.decision, reason, condition, gates },
    runId: row.run_id,
  };
}
