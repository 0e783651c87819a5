/**
 * For an asset whose source failed: what stands behind it is served the last good version, honestly marked as
 * degraded; the root is tried again with growing pauses until its source answers; then the root and all
 * behind it are made anew in one run, in dependency order.
 */
import { isTerminalRun, type Run } from '../domain/run.ts';
import type { ActContext, Plan, PlannedCall, Runbook, RunbookContext } from '../domain/runbook.ts';
import { parseDuration } from '../domain/time.ts';
import { planOf, refuse, subjectsOf, textArgument } from './plan.ts';

const ID = { id: 'fallback-rematerialize', version: '1' } as const;

const DEPTH = 1_000;
const WAIT_DEFAULT = '2h';
const RUN_LIMIT_MS = 1_800_000;
const PAUSE_FIRST_MS = 1_000;
const PAUSE_LARGEST_MS = 30_000;
/** After so many attempts the pauses begin to grow: a short outage is over at once, a long one is not hammered. */
const QUICK_ATTEMPTS = 15;

/** Runbook for assets that are stale or whose source failed. */
export const fallbackRematerialize: Runbook = {
  ...ID,
  title: 'Serve the last good version, then make all anew',
  summary:
    'Marks the fallback as degraded, waits for the source, rematerializes root and downstream',
  kinds: ['stale-asset'],
  defaultMode: 'auto',
  guardrails: { cooldownMs: 60_000, budgetPerHour: 20, maxCalls: 3, stopAfterFailures: 3 },
  parameters: {
    type: 'object',
    properties: { waitForSource: { type: 'string', description: 'Longest wait, such as "2h"' } },
    additionalProperties: false,
  },
  handles: (incident) => incident.kind === 'stale-asset',
  plan,
  async act(context, plan) {
    for (const call of plan.calls) {
      if (call.lever === 'assets.serveFallback') await serveFallback(context, call);
      else if (call.key === 'await-source') await awaitSource(context, call);
      else await rebuild(context, call);
    }
  },
  async confirm(context, plan) {
    const keys = plan.calls.flatMap((call) => keysOf(call));
    const assets = await Promise.all(
      [...new Set(keys)].map((key) => context.levers.assets.get(key)),
    );
    const wrong = assets.flatMap((asset) =>
      asset && (asset.freshness === 'degraded' || asset.freshness === 'stale')
        ? [`${asset.key} is ${asset.freshness}`]
        : [],
    );
    return {
      ok: wrong.length === 0,
      detail:
        wrong.slice(0, 5).join('; ') || `${keys.length} assets are neither degraded nor stale`,
    };
  },
};

async function plan(context: RunbookContext): Promise<Plan> {
  const { levers, incident } = context;
  const [root] = subjectsOf(context, 'asset');
  const asset = root === undefined ? null : await levers.assets.get(root);
  if (root === undefined || !asset) return refuse(ID, 'unknown-asset', 'asset-is-not-known');
  const downstream = await levers.assets.downstream(root, DEPTH);
  const failed = incident.diagnosis !== 'no-new-version';
  const lastGood =
    failed && asset.policy.fallback !== null ? await levers.assets.lastGood(root) : null;
  if (asset.external && lastGood === null) {
    return refuse(ID, incident.diagnosis ?? 'made-elsewhere', 'asset-is-made-elsewhere');
  }
  const [source] = subjectsOf(context, 'source');
  const all = [root, ...downstream];
  return planOf(ID, {
    diagnosis: incident.diagnosis ?? 'materialization-failed',
    reasons: [
      failed
        ? `${root} failed; ${downstream.length} assets stand behind it`
        : `${root} has no new version`,
      lastGood
        ? `its last good version is of ${lastGood.at}`
        : asset.policy.fallback === null
          ? 'its policy has no fallback'
          : 'there is no good version to fall back to',
    ],
    calls: [
      ...(lastGood && asset.freshness !== 'degraded' ? [fallbackCall(root, lastGood.at)] : []),
      ...(failed && !asset.external ? [awaitCall(root, source)] : []),
      ...(asset.external ? [] : [rebuildCall(all)]),
    ],
    affected: downstream.map((id) => ({ type: 'asset', id })),
    owners: [...asset.owners],
  });
}

function fallbackCall(root: string, at: string): PlannedCall {
  return {
    key: 'serve-fallback',
    summary: `serve the version of ${root} of ${at} as degraded`,
    lever: 'assets.serveFallback',
    arguments: { asset: root },
    before: 'failed',
    after: 'degraded',
    undo: null,
  };
}

function awaitCall(root: string, source: string | undefined): PlannedCall {
  return {
    key: 'await-source',
    summary: `materialize ${root} again and again until ${source ?? 'its source'} answers`,
    lever: 'assets.materialize',
    arguments: { assets: [root] },
    before: 'failed',
    after: 'fresh',
    undo: null,
  };
}

function rebuildCall(all: readonly string[]): PlannedCall {
  return {
    key: 'rematerialize',
    summary: `materialize ${all.length} assets in dependency order in one run`,
    lever: 'assets.materialize',
    arguments: { assets: all },
    before: null,
    after: 'fresh',
    undo: null,
  };
}

function keysOf(call: PlannedCall): readonly string[] {
  const { assets } = call.arguments;
  return Array.isArray(assets) ? assets.map(String) : [];
}

async function serveFallback(context: ActContext, call: PlannedCall): Promise<void> {
  const root = textArgument(call, 'asset');
  const changed = await context.step(call.key, () =>
    context.levers.assets.serveFallback(
      root,
      context.incident.title,
      `${context.executionId}/${call.key}`,
    ),
  );
  const served = changed.outcome !== 'state-changed';
  await context.report({
    key: call.key,
    ok: true,
    outcome: served ? changed.outcome : 'state-changed-since-plan',
    detail: { asset: root },
  });
  if (served) await context.mitigated('fallback-served');
}

/** Tries the root alone, so that a source that is still down costs one task and not the whole lineage. */
async function awaitSource(context: ActContext, call: PlannedCall): Promise<void> {
  const [root = ''] = keysOf(call);
  const limitMs = parseDuration(String(context.parameters['waitForSource'] ?? WAIT_DEFAULT));
  let attempt = 0;
  let notBefore = 0;
  let under: Run | null = null;
  const back = await context.waitUntil(
    'source-back',
    async () => {
      if (under === null) {
        if (context.clock.now() < notBefore) return false;
        attempt++;
        under = await start(context, [root], `probe-${attempt}`);
      }
      const run: Run | null = await context.levers.runs.get(under.id);
      if (!run || !isTerminalRun(run.state)) return false;
      under = null;
      const endedAt = run.finishedAt === null ? context.clock.now() : Date.parse(run.finishedAt);
      notBefore = endedAt + pauseAfter(attempt);
      return run.state === 'succeeded';
    },
    limitMs,
  );
  await context.report({
    key: call.key,
    ok: back,
    outcome: back ? 'done' : 'source-still-down',
    detail: { asset: root },
  });
  if (!back) throw new Error(`the source of ${root} did not come back within the limit`);
}

function pauseAfter(attempt: number): number {
  const grown = PAUSE_FIRST_MS * 2 ** Math.max(0, attempt - QUICK_ATTEMPTS);
  return Math.min(grown, PAUSE_LARGEST_MS);
}

function start(context: ActContext, keys: readonly string[], step: string): Promise<Run> {
  return context.step(step, () =>
    context.levers.assets.materialize(keys, `${context.executionId}/${step}`),
  );
}

async function rebuild(context: ActContext, call: PlannedCall): Promise<void> {
  const keys = keysOf(call);
  const run = await start(context, keys, call.key);
  let last = run;
  await context.waitUntil(
    'rebuilt',
    async () => {
      last = (await context.levers.runs.get(run.id)) ?? last;
      return isTerminalRun(last.state);
    },
    RUN_LIMIT_MS,
  );
  last = (await context.levers.runs.get(run.id)) ?? last;
  const ok = last.state === 'succeeded';
  await context.report({
    key: call.key,
    ok,
    outcome: ok ? 'done' : `run-${last.state}`,
    detail: { runId: run.id, assets: keys.length },
  });
  if (!ok) throw new Error(`run ${run.id}, which was to make the assets anew, is ${last.state}`);
}
