/**
 * Drill: a PostgreSQL server fills up while workflows work on it through a pool. Twice, with different causes:
 * a job that leaks transactions up to 95 of 100 connections, and an honest load for which the workflows' pool
 * is too small. The first must not be answered with a larger pool; the second must.
 */
import { startChild } from './children.ts';
import type { DrillInstance } from './instance.ts';
import { serverModule } from './module-url.ts';
import { type Lived, liveThrough, type Tell } from './outcome.ts';
import { type Check, check, type Scorecard, score } from './scorecard.ts';
import { TARGET_MAX_CONNECTIONS } from './target-postgres.ts';
import { waitFor } from './wait.ts';

const AGENT_CONCURRENCY = 80;

export async function drillPoolExhaustion(
  instance: DrillInstance,
  tell: Tell,
): Promise<Scorecard[]> {
  const agent = await instance.startAgent({
    name: 'drill-pool-agent',
    concurrency: AGENT_CONCURRENCY,
    queue: 'drill-pool',
  });
  try {
    await waitFor('the pool to be known', 30_000, async () => {
      const runs = await instance.api.send('POST', '/workflows/drill-sum-orders/runs', {});
      const pool = await instance.api.pool('drill-orders').catch(() => undefined);
      return runs && pool ? true : undefined;
    });
    return [await leak(instance, tell), await saturation(instance, tell)];
  } finally {
    await agent.stop();
  }
}

async function leak(instance: DrillInstance, tell: Tell): Promise<Scorecard> {
  tell('pool-exhaustion (leak): a job opens transactions and forgets them, up to 95 connections');
  const startMs = Date.now();
  const load = startLoad(instance, 'drill-sum-orders', () => 2);
  const full = watchFull(instance);
  const leaker = startChild(
    'leaking client',
    serverModule('drills/faults/leak-client'),
    [instance.target.leakUrl, '95', '250'],
    {},
  );
  try {
    const lived = await liveThrough(instance, startMs, tell);
    await load.stop();
    return score({
      drill: 'pool-exhaustion',
      variant: 'leak',
      ...lived,
      runbook: 'pool-resize',
      harm: await leakHarm(instance),
      checks: await leakChecks(instance, lived, full.at(), load),
    });
  } finally {
    await Promise.all([load.stop(), leaker.stop(), full.stop()]);
    await instance.target.admin.query('alter role leaky_app connection limit -1');
  }
}

async function leakChecks(
  instance: DrillInstance,
  lived: Lived,
  fullAtMs: number | null,
  load: Load,
): Promise<Check[]> {
  const incident = lived.incidents[0];
  const detectedMs = incident ? Date.parse(incident.detectedAt) : Number.POSITIVE_INFINITY;
  const enlarged = lived.executions.some((one) =>
    one.plan.calls.some((call) => call.lever === 'pools.setMax'),
  );
  return [
    check('diagnosed as a leak', incident?.diagnosis === 'leak', incident?.diagnosis ?? 'none'),
    check('detected before the server was full', fullAtMs === null || detectedMs < fullAtMs, ''),
    check('no pool was enlarged', !enlarged, ''),
    await runsEnded(instance, 'drill-sum-orders', load),
  ];
}

/** Every session that is not the leaking role's must have lived on. */
async function leakHarm(instance: DrillInstance): Promise<string[]> {
  const { rows } = await instance.target.admin.query<{ sessions_killed: string }>(
    `select sessions_killed from pg_stat_database where datname = 'postgres'`,
  );
  const { rows: held } = await instance.target.admin.query<{ n: number }>(
    `select count(*)::int as n from pg_stat_activity where usename = 'workflow_app'`,
  );
  return Number(rows[0]?.sessions_killed ?? 0) > 0 && (held[0]?.n ?? 0) === 0
    ? ['the workflows lost their connections']
    : [];
}

async function saturation(instance: DrillInstance, tell: Tell): Promise<Scorecard> {
  tell('pool-exhaustion (saturation): honest load grows beyond the pool, the server has room');
  const startMs = Date.now();
  const batch = startChild(
    'batch client',
    serverModule('drills/faults/batch-client'),
    [instance.target.batchUrl, '45', '200'],
    {},
  );
  // Half a second a task: 14 a second keep ten connections busy and leave four tasks a second waiting.
  const load = startLoad(instance, 'drill-report-orders', (second) => Math.min(4 + 2 * second, 28));
  try {
    const lived = await liveThrough(instance, startMs, tell);
    await load.stop();
    const pool = await instance.api.pool('drill-orders');
    const incident = lived.incidents[0];
    return score({
      drill: 'pool-exhaustion',
      variant: 'saturation',
      ...lived,
      runbook: 'pool-resize',
      harm:
        (pool.max ?? 0) + 45 > TARGET_MAX_CONNECTIONS ? ['the server’s budget was exceeded'] : [],
      checks: [
        check(
          'diagnosed as saturation',
          incident?.diagnosis === 'saturation',
          incident?.diagnosis ?? 'none',
        ),
        check('the pool was enlarged within the budget', (pool.max ?? 0) > 10, `now ${pool.max}`),
        await runsEnded(instance, 'drill-report-orders', load),
      ],
    });
  } finally {
    await Promise.all([load.stop(), batch.stop()]);
  }
}

interface Load {
  triggered(): number;
  stop(): Promise<void>;
}

/** Triggers runs each second; the rate may grow with time. */
function startLoad(
  instance: DrillInstance,
  workflow: string,
  perSecond: (second: number) => number,
): Load {
  let triggered = 0;
  let second = 0;
  let under: Promise<unknown> = Promise.resolve();
  const timer = setInterval(() => {
    const runs = Array.from({ length: perSecond(second++) }, () => ({}));
    under = instance.api
      .send('POST', `/workflows/${workflow}/runs/batch`, { runs })
      .then(() => {
        triggered += runs.length;
      })
      .catch(() => {});
  }, 1_000);
  return {
    triggered: () => triggered,
    async stop() {
      clearInterval(timer);
      await under;
    },
  };
}

/** Remembers the first moment at which no ordinary connection was left. */
function watchFull(instance: DrillInstance): { at(): number | null; stop(): Promise<void> } {
  let fullAtMs: number | null = null;
  const ordinary = TARGET_MAX_CONNECTIONS - 3;
  const timer = setInterval(async () => {
    const { rows } = await instance.target.admin.query<{ n: number }>(
      `select count(*)::int as n from pg_stat_activity where backend_type = 'client backend'`,
    );
    if ((rows[0]?.n ?? 0) >= ordinary) fullAtMs ??= Date.now();
  }, 250);
  return {
    at: () => fullAtMs,
    async stop() {
      clearInterval(timer);
    },
  };
}

async function runsEnded(instance: DrillInstance, workflow: string, load: Load): Promise<Check> {
  const name = 'every run of the workflows succeeded in the end';
  const active = async () => {
    const runs = await instance.api.runs(workflow);
    return runs.some((run) => run.finishedAt === null) ? undefined : runs;
  };
  const runs = await waitFor(name, 45_000, active).catch(() => []);
  const bad = runs.filter((run) => run.state !== 'succeeded').length;
  return check(
    name,
    runs.length > 0 && bad === 0,
    `${load.triggered()} triggered, ${bad} not succeeded`,
  );
}
