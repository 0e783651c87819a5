/**
 * Assets whose data is too old, by event time, or that will be: a critical asset (or one with a fallback) whose
 * materialization failed is a finding at once, not only when its policy's window is over. All that stands behind
 * one failed or stale asset is one trouble, with the topmost one as its root.
 */
import type {
  Detector,
  DetectorAsset,
  DetectorContext,
  Finding,
  Subject,
} from '../../domain/finding.ts';
import { type AssetState, type Judged, judgeAsset, readStates } from './asset-state.ts';
import { downstreamOf, rootOf } from './lineage.ts';
import { evidenceOf, setting } from './rows.ts';

const ID = { id: 'stale-asset', version: '1' } as const;

const DEFAULTS = {
  lookbackMs: 604_800_000,
  /** Whether a failed materialization of a critical asset counts at once. */
  failureCountsAtOnce: 1,
  holdMs: 5_000,
  verifyLimitMs: 120_000,
} as const;

/**
 * A version that is reported late is dated by its event time where history is read, by its record where it is
 * live: an event is known at the earlier of the two.
 */
const STATES_SQL = `
SELECT asset_key,
       toUnixTimestamp64Milli(maxIf(at, type IN ('materialized', 'observed'))) AS computed_ms,
       toUnixTimestamp64Milli(maxIf(recorded_at, type IN ('materialized', 'observed'))) AS computed_recorded_ms,
       toUnixTimestamp64Milli(maxIf(recorded_at, type = 'fallback-served')) AS fallback_ms,
       toUnixTimestamp64Milli(argMaxIf(at, recorded_at, type = 'failed')) AS failed_ms,
       toUnixTimestamp64Milli(maxIf(recorded_at, type = 'failed')) AS failed_recorded_ms,
       arraySort(groupArrayIf(200)((toUnixTimestamp64Milli(recorded_at), toUnixTimestamp64Milli(at)), type = 'failed')) AS failures,
       argMaxIf(detail, recorded_at, type = 'failed') AS failed_detail,
       argMaxIf(run_id, recorded_at, type = 'failed') AS failed_run
FROM signalbox.asset_events
WHERE recorded_at > fromUnixTimestamp64Milli({from:Int64})
  AND least(at, recorded_at) <= fromUnixTimestamp64Milli({to:Int64})
GROUP BY asset_key
ORDER BY asset_key
LIMIT 50000`;

/** Detector of stale assets. */
export const staleAsset: Detector = {
  ...ID,
  kind: 'stale-asset',
  summary:
    'Assets that are older than their policy allows, or whose source failed, with their cause',
  defaults: DEFAULTS,
  queries: queriesAt,
  evaluate(answers, context) {
    const states = readStates(answers['states'] ?? []);
    const assets = new Map(context.assets.map((asset) => [asset.key, asset]));
    const judged = new Map<string, Judged>();
    const atOnce = setting(context.settings, 'failureCountsAtOnce') !== 0;
    for (const asset of context.assets) {
      const verdict = judgeAsset(asset, states.get(asset.key), context.now, atOnce);
      if (verdict) judged.set(asset.key, verdict);
    }
    const isBad = (key: string) => judged.get(key)?.bad === true;
    const sinceOf = (key: string) => judged.get(key)?.since ?? Number.POSITIVE_INFINITY;
    const byRoot = new Map<string, Judged[]>();
    for (const [key, verdict] of judged) {
      if (!verdict.fires) continue;
      const root = rootOf(key, assets, isBad, sinceOf);
      byRoot.set(root, [...(byRoot.get(root) ?? []), verdict]);
    }
    const findings = [...byRoot].map(([root, members]) =>
      toFinding(root, members, { judged, assets, states, context }),
    );
    return [...findings, ...unknownAssets(states, context)];
  },
};

function queriesAt({ now, settings }: DetectorContext) {
  const from = now - setting(settings, 'lookbackMs');
  return { states: { sql: STATES_SQL, parameters: { from, to: now } } };
}

interface Around {
  readonly judged: ReadonlyMap<string, Judged>;
  readonly assets: ReadonlyMap<string, DetectorAsset>;
  readonly states: ReadonlyMap<string, AssetState>;
  readonly context: DetectorContext;
}

function toFinding(root: string, members: readonly Judged[], around: Around): Finding {
  const { judged, assets, states, context } = around;
  const behind = downstreamOf(root, assets);
  const cause = judged.get(root);
  const asset = assets.get(root);
  const source = asset?.source ? withoutSecrets(asset.source) : null;
  const failed = cause?.reason === 'materialization-failed';
  const what = cause?.what ?? 'has no new version';
  const tail =
    behind.length === 0
      ? ''
      : `; ${behind.length} ${behind.length === 1 ? 'asset stands' : 'assets stand'} behind it`;
  const critical = [root, ...members.map((member) => member.key)].some(
    (key) => assets.get(key)?.policy.critical === true,
  );
  const rows = [root, ...members.map((member) => member.key)]
    .filter((key, index, all) => all.indexOf(key) === index)
    .map((key) => ({
      ...(states.get(key)?.row ?? { asset_key: key }),
      judged: judged.get(key)?.what,
    }));
  const subjects: Subject[] = [{ type: 'asset', id: root }];
  if (source !== null) subjects.push({ type: 'source', id: source });
  return {
    kind: 'stale-asset',
    fingerprint: `${ID.id}:${root}`,
    status: 'firing',
    severity: critical ? 'critical' : 'error',
    title: `${root} ${what}${source !== null && failed ? ` (source ${source})` : ''}${tail}`,
    rootCause:
      source !== null && failed ? `source ${source}: ${cause?.error ?? what}` : `${root} ${what}`,
    diagnosis: failed
      ? source === null
        ? 'materialization-failed'
        : 'source-failed'
      : 'no-new-version',
    subjects,
    affected: behind.map((id) => ({ type: 'asset', id })),
    evidence: [
      evidenceOf(ID, queriesAt(context).states, rows, {
        ...context.settings,
        policy: asset?.policy ?? null,
      }),
    ],
    since: Math.min(...members.map((member) => member.since)),
    reason: cause?.reason ?? 'past-its-policy',
  };
}

/** Users put passwords and keys into addresses; a finding goes to many eyes. */
function withoutSecrets(source: string): string {
  if (!URL.canParse(source)) return source;
  const url = new URL(source);
  url.username = '';
  url.password = '';
  url.search = '';
  url.hash = '';
  return url.href;
}

/** An asset with a policy that was never seen is neither fresh nor stale. */
function unknownAssets(
  states: ReadonlyMap<string, AssetState>,
  context: DetectorContext,
): readonly Finding[] {
  const watched = context.assets.filter(
    ({ policy }) => policy.failAfterMs !== null || policy.deadlineCron !== null || policy.critical,
  );
  const unseen = watched.filter((asset) => !states.has(asset.key));
  if (unseen.length === 0 && (watched.length > 0 || states.size > 0)) return [];
  const everything = states.size === 0;
  return [
    {
      kind: 'stale-asset',
      fingerprint: everything ? ID.id : `${ID.id}:unseen`,
      status: 'unknown',
      severity: 'info',
      title: everything
        ? 'No asset has sent an event'
        : `${unseen.length} assets with a policy were never seen`,
      rootCause: null,
      diagnosis: null,
      subjects: unseen.map((asset) => ({ type: 'asset', id: asset.key })),
      affected: [],
      evidence: [],
      since: 0,
      reason: 'no-asset-events',
    },
  ];
}
