/**
 * Runs work whose effects are counted while faults come one after the other, lets everything come to rest, and
 * judges. The seed decides which faults come in which order; when they hit is the machine's.
 */
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { waitFor } from '../support/wait-for.ts';
import { chooseFault, type Fault, seededRandom } from './faults.ts';
import { callAny, type Stage } from './stage.ts';
import { type Asked, judge } from './verdict.ts';
import { EFFECTS, POOL, POOL_SLOTS } from './work.ts';

const BATCH = 50;
/** Between two faults: long enough that work goes on, short enough that they overlap with recoveries. */
const MOST_PAUSE_MS = 3_000;
/** Not more unfinished runs than these at a time, or this share of all: faults are to hit all of the work. */
const MOST_UNFINISHED = 1_000;
const SHARE_UNFINISHED = 1 / 4;
/** Work that did not get less for so long stands still. */
const STILL_LIMIT_MS = 120_000;
const SETTLE_LIMIT_MS = 15 * 60_000;

export interface ScenarioOptions {
  readonly seed: number;
  readonly faults: readonly Fault[];
  /** Goes on with new work and new faults until this time is over … */
  readonly forMs: number;
  /** … and these many runs of each workflow were asked for. */
  readonly runs: number;
  /** Ends it before its time, without a verdict. */
  readonly signal?: AbortSignal;
  log(line: string): void;
}

export interface Outcome {
  readonly faults: readonly string[];
  readonly runs: number;
  readonly injected: ReadonlyMap<string, number>;
}

export async function runScenario(stage: Stage, options: ScenarioOptions): Promise<Outcome> {
  await callAny(stage, 'PUT', `/pools/${POOL}`, { max: POOL_SLOTS });
  await waitForWorkflows(stage);
  const random = seededRandom(options.seed);
  const until = performance.now() + options.forMs;
  const asked: Asked[] = [];
  const injected = new Map<string, number>();
  let done = false;
  const asking = ask(stage, options, until, asked).finally(() => {
    done = true;
  });
  // Told where it is awaited; nobody awaits it when the scenario is ended before its time.
  asking.catch(() => undefined);
  while (!done || performance.now() < until) {
    await delay(random() * MOST_PAUSE_MS);
    options.signal?.throwIfAborted();
    const fault = chooseFault(options.faults, random);
    options.log(`${asked.length} runs asked for; now: ${fault.name}`);
    await fault.inject(stage, random);
    injected.set(fault.name, (injected.get(fault.name) ?? 0) + 1);
  }
  await asking;
  options.log(`${asked.length} runs asked for; waits for rest`);
  await rest(stage);
  return { faults: await judge(stage, asked), runs: asked.length, injected };
}

async function waitForWorkflows(stage: Stage): Promise<void> {
  for (const name of Object.keys(EFFECTS)) await callAny(stage, 'GET', `/workflows/${name}`);
}

/** The same keys for the same batch, so that one whose answer was lost can be sent again. */
async function ask(
  stage: Stage,
  { runs, log, signal }: ScenarioOptions,
  until: number,
  asked: Asked[],
): Promise<void> {
  for (let batch = 0; batch * BATCH < runs || performance.now() < until; batch += 1) {
    if (signal?.aborted) return;
    for (const workflow of Object.keys(EFFECTS) as Asked['workflow'][]) {
      const keys = Array.from({ length: BATCH }, (_, at) => `${workflow}-${batch}-${at}`);
      const { items } = (await callAny(stage, 'POST', `/workflows/${workflow}/runs/batch`, {
        runs: keys.map((key) => ({ idempotencyKey: key, parameters: { key } })),
      })) as { items: readonly { id: string }[] };
      asked.push(...items.map(({ id }, at) => ({ workflow, key: keys[at] ?? '', runId: id })));
    }
    await waitForRoom(stage, runs).catch((error: unknown) => log(`no room: ${error}`));
  }
}

async function waitForRoom(stage: Stage, runs: number): Promise<void> {
  const most = Math.max(BATCH, Math.min(MOST_UNFINISHED, runs * SHARE_UNFINISHED));
  await waitFor(async () => (await unfinished(stage)) < most, {
    ...{ timeoutMs: 60_000, intervalMs: 200, what: 'earlier runs to end' },
  });
}

async function unfinished(stage: Stage): Promise<number> {
  const client = new pg.Client(stage.postgres.url);
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM signalbox.run_live',
    );
    return rows[0]?.n ?? 0;
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function rest(stage: Stage): Promise<void> {
  let least = Number.POSITIVE_INFINITY;
  let sinceMs = performance.now();
  const settled = async () => {
    const left = await unfinished(stage);
    if (left < least) {
      least = left;
      sinceMs = performance.now();
    }
    return left === 0 || performance.now() - sinceMs > STILL_LIMIT_MS;
  };
  await waitFor(settled, {
    ...{ timeoutMs: SETTLE_LIMIT_MS, intervalMs: 250, what: 'every run to end' },
  }).catch(() => undefined);
}
