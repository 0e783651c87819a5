/**
 * Drill: an HTTP source goes down; one asset fails, 63 stand behind it. There must be one incident that names
 * the source; the last good version is served as degraded; once the source is back, all are made again in
 * dependency order.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Asset } from '../../domain/asset.ts';
import { type Child, startChild } from './children.ts';
import type { DrillInstance } from './instance.ts';
import { serverModule } from './module-url.ts';
import { liveThrough, type Tell } from './outcome.ts';
import { type Check, check, type Scorecard, score } from './scorecard.ts';
import { waitFor } from './wait.ts';

const ROOT = 'drill/raw_customers';
const DOWNSTREAM = 63;
const DOWN_MS = 12_000;

export async function drillAssetCascade(instance: DrillInstance, tell: Tell): Promise<Scorecard[]> {
  tell(`asset-cascade: the source of ${ROOT} goes down, ${DOWNSTREAM} assets stand behind it`);
  const started: Child[] = [];
  try {
    started.push(
      await instance.startAgent({
        name: 'drill-asset-agent',
        concurrency: 16,
        queue: 'drill-assets',
      }),
    );
    let source = await startSource(instance);
    started.push(source);
    await waitFor('the assets to be known', 30_000, async () =>
      (await drillAssets(instance)).length === DOWNSTREAM + 1 ? true : undefined,
    );
    await materializeAll(instance);
    await allAre(instance, 'fresh', 30_000);
    tell('  all assets are fresh; the source goes down');
    await source.stop();
    const startMs = Date.now();
    await materializeAll(instance);
    const lived = liveThrough(instance, startMs, tell);
    const degraded = await rootBecomes(instance, 'degraded');
    await delay(Math.max(0, startMs + DOWN_MS - Date.now()));
    tell('  the source is back');
    source = await startSource(instance);
    started.push(source);
    const { incidents, executions } = await lived;
    const incident = incidents[0];
    return [
      score({
        drill: 'asset-cascade',
        variant: '',
        incidents,
        executions,
        runbook: 'fallback-rematerialize',
        harm: [],
        checks: [
          check('the fallback was served as degraded', degraded, ''),
          check(
            'the source is named as the cause',
            (incident?.rootCause ?? '').includes(`:${instance.sourcePort}`),
            incident?.rootCause ?? 'none',
          ),
          check(
            'what lies behind it is told',
            (incident?.affected.length ?? 0) >= DOWNSTREAM,
            `${incident?.affected.length ?? 0} assets`,
          ),
          ...(await rebuiltChecks(instance, startMs)),
        ],
      }),
    ];
  } finally {
    await Promise.all(started.map((child) => child.stop()));
  }
}

async function startSource(instance: DrillInstance): Promise<Child> {
  const source = startChild(
    'source',
    serverModule('drills/faults/source'),
    [String(instance.sourcePort)],
    {},
  );
  await source.line(10_000, (line) => (line === 'source up' ? true : undefined));
  return source;
}

async function materializeAll(instance: DrillInstance): Promise<void> {
  await instance.api.send('POST', `/assets/${encodeURIComponent(ROOT)}/materialize`, {
    downstream: true,
  });
}

async function drillAssets(instance: DrillInstance): Promise<readonly Asset[]> {
  const { items } = await instance.api.get<{ items: Asset[] }>('/assets?limit=1000');
  return items.filter((asset) => asset.key.startsWith('drill/'));
}

async function allAre(
  instance: DrillInstance,
  freshness: Asset['freshness'],
  limitMs: number,
): Promise<void> {
  await waitFor(`all assets to be ${freshness}`, limitMs, async () => {
    const assets = await drillAssets(instance);
    const right = assets.filter((asset) => asset.freshness === freshness);
    return assets.length === DOWNSTREAM + 1 && right.length === assets.length ? true : undefined;
  });
}

async function rootBecomes(
  instance: DrillInstance,
  freshness: Asset['freshness'],
): Promise<boolean> {
  return waitFor(`${ROOT} to be ${freshness}`, 30_000, async () => {
    const asset = await instance.api.asset(ROOT);
    return asset.freshness === freshness ? true : undefined;
  }).catch(() => false);
}

/** All are fresh again, and none was made before what it depends on. */
async function rebuiltChecks(instance: DrillInstance, sinceMs: number): Promise<Check[]> {
  const assets = await drillAssets(instance);
  const madeAt = new Map(
    assets.map((asset) => [asset.key, Date.parse(asset.lastMaterialization?.recordedAt ?? '')]),
  );
  const fresh = assets.filter((asset) => asset.freshness === 'fresh').length;
  const again = [...madeAt.values()].filter((at) => at > sinceMs).length;
  const disordered = assets.filter((asset) =>
    asset.dependsOn.some((upstream) => (madeAt.get(upstream) ?? 0) > (madeAt.get(asset.key) ?? 0)),
  );
  return [
    check('all are fresh', fresh === DOWNSTREAM + 1, `${fresh} of ${DOWNSTREAM + 1}`),
    check('all were made again', again === DOWNSTREAM + 1, `${again} of ${DOWNSTREAM + 1}`),
    check(
      'in dependency order',
      disordered.length === 0,
      disordered.map((asset) => asset.key).join(', '),
    ),
  ];
}
