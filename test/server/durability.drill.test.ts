import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startProcess, type TestProcess } from '../support/child-process.ts';
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts';
import { makeTempDir, type TempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { alive, descendantsOf } from './process-tree.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
const STEPS = 4;
const BATCH = 10;
/** Of each workflow; enough that not all is done when the end comes. */
const MOST_BATCHES = 40;
const LIMIT_MS = 120_000;

interface Ready {
  readonly url: string;
  readonly token: string;
  readonly otlpUrl: string;
}
type Row = Readonly<Record<string, unknown>>;

let temp: TempDir;
/** Where the users' effects go: not the product's, so that it lives on while everything else dies. */
let theirs: TestPostgres;

beforeAll(async () => {
  temp = await makeTempDir('durability');
  theirs = await startTestPostgres();
  const client = new pg.Client(theirs.url);
  await client.connect();
  await client.query('CREATE TABLE effect (key text)');
  await client.end();
  const text = `
    import pg from ${JSON.stringify(import.meta.resolve('pg'))};
    import { flow, onceIn, workflow } from 'signalbox';
    const pool = new pg.Pool({ connectionString: ${JSON.stringify(theirs.url)}, max: 8 });
    pool.on('error', () => undefined);
    const effect = (key: string) =>
      onceIn(pool, key, (client) => client.query('INSERT INTO effect VALUES ($1)', [key]).then(() => key));
    export const steps = flow('steps', {}, async (ctx) => {
      for (let step = 0; step < ${STEPS}; step += 1) {
        await ctx.step('step-' + step, () => effect(ctx.runId + '/' + step));
      }
    });
    export const plain = workflow('plain', {}, (w) => {
      const first = w.task('0', {}, (ctx) => effect(ctx.runId + '/0'));
      w.task('1', { after: [first] }, (ctx) => effect(ctx.runId + '/1'));
    });`;
  await mkdir(join(temp.path, 'workflows'));
  await writeFile(join(temp.path, 'workflows', 'effects.ts'), text);
});
afterAll(async () => {
  await theirs.stop();
  await temp.remove();
});

function startUp(): TestProcess {
  const ports = ['--port', '0', '--otlp-port', '0', '--clickhouse-port', '0'];
  const folders = ['--data-dir', join(temp.path, 'data'), '--workflows', 'workflows'];
  return startProcess(
    process.execPath,
    [MAIN, 'up', '--json', '--no-examples', ...folders, ...ports],
    {
      cwd: temp.path,
      env: { NODE_ENV: undefined, VITEST: undefined, SIGNALBOX_LEASE: '5s' },
    },
  );
}

async function readyOf(up: TestProcess): Promise<Ready> {
  return JSON.parse(await up.waitForLine(/^\{"url"/, LIMIT_MS)) as Ready;
}

/** @throws where the answer did not come or was no success: then nothing was acknowledged */
async function post(ready: Ready, url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${ready.token}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return response.json();
}

async function select(ready: Ready, sql: string): Promise<readonly Row[]> {
  const answer = await post(ready, `${ready.url}/api/v1/query`, { sql });
  return (answer as { rows: readonly Row[] }).rows;
}

/** The same keys for the same number, so that a batch can be sent again. */
async function trigger(ready: Ready, workflow: string, batch: number): Promise<string[]> {
  const runs = Array.from({ length: BATCH }, (_, index) => ({
    idempotencyKey: `${batch}-${index}`,
  }));
  const url = `${ready.url}/api/v1/workflows/${workflow}/runs/batch`;
  const { items } = (await post(ready, url, { runs })) as { items: readonly { id: string }[] };
  return items.map(({ id }) => id);
}

function logOf(id: string): object {
  const timeUnixNano = String(BigInt(Date.now()) * 1_000_000n);
  const logRecords = [{ timeUnixNano, severityText: 'INFO', body: { stringValue: id } }];
  const resource = { attributes: [{ key: 'service.name', value: { stringValue: 'theirs' } }] };
  return { resourceLogs: [{ resource, scopeLogs: [{ logRecords }] }] };
}

function lineageOf(runId: string): object {
  return {
    eventTime: new Date().toISOString(),
    eventType: 'COMPLETE',
    producer: 'https://example.com/their-engine',
    schemaURL: 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent',
    job: { namespace: 'theirs', name: 'load' },
    run: { runId },
    outputs: [{ namespace: 'theirs', name: `table-${runId}` }],
  };
}

/** What was acknowledged. */
class Acknowledged {
  readonly runs = new Map<string, string[]>();
  readonly logs: string[] = [];
  readonly lineage: string[] = [];
}

/** Sends one after the other until the system is gone, or there are enough. */
async function untilGone(
  work: (turn: number) => Promise<void>,
  most = Number.POSITIVE_INFINITY,
): Promise<void> {
  for (let turn = 0; turn < most; turn += 1) {
    const failed = await work(turn).then(
      () => false,
      () => true,
    );
    if (failed) return;
  }
}

async function send(ready: Ready, acknowledged: Acknowledged): Promise<void> {
  const triggers = ['steps', 'plain'].map((name) =>
    untilGone(async (turn) => {
      acknowledged.runs.set(`${name} ${turn}`, await trigger(ready, name, turn));
    }, MOST_BATCHES),
  );
  const logs = untilGone(async () => {
    const id = crypto.randomUUID();
    await post(ready, `${ready.otlpUrl}/v1/logs`, logOf(id));
    acknowledged.logs.push(id);
  });
  const lineage = untilGone(async () => {
    const id = crypto.randomUUID();
    await post(ready, `${ready.url}/api/v1/lineage`, lineageOf(id));
    acknowledged.lineage.push(id);
  });
  await Promise.all([...triggers, logs, lineage]);
}

async function effects(): Promise<{ all: number; different: number; runs: number }> {
  const client = new pg.Client(theirs.url);
  await client.connect();
  const { rows } = await client.query(
    `SELECT count(*)::int AS "all", count(DISTINCT key)::int AS different,
            count(DISTINCT split_part(key, '/', 1))::int AS runs FROM effect`,
  );
  await client.end();
  return rows[0];
}

const ofRuns = `FROM signalbox.run_events WHERE workflow IN ('steps', 'plain')`;

async function expectEachEventOnce(ready: Ready): Promise<void> {
  const [events] = await select(
    ready,
    `SELECT count() AS n, uniqExact(event_id) AS ids,
            uniqExact(run_id, task_key, attempt, state) AS changes ${ofRuns}`,
  );
  expect([events?.['ids'], events?.['changes']]).toEqual([events?.['n'], events?.['n']]);
  const tasks = await select(
    ready,
    `SELECT run_id, countIf(state = 'succeeded') AS n ${ofRuns} AND task_key != '' GROUP BY run_id HAVING n = 0`,
  );
  expect(tasks).toEqual([]);
}

it('loses nothing that was acknowledged and repeats no effect when every process is killed at once', async () => {
  const acknowledged = new Acknowledged();
  const first = startUp();
  const sending = send(await readyOf(first), acknowledged);
  // In the middle: something of everything is acknowledged, and much of it under way.
  await waitFor(
    async () =>
      acknowledged.runs.size >= 8 &&
      acknowledged.logs.length >= 5 &&
      acknowledged.lineage.length >= 5 &&
      (await effects()).all >= 100,
    { timeoutMs: LIMIT_MS, what: 'something of everything to be acknowledged' },
  );
  const all = [first.pid, ...(await descendantsOf(first.pid))];
  for (const pid of all) process.kill(pid, 'SIGKILL');
  await waitFor(async () => (await alive(all)).length === 0);
  await sending;
  const before = await effects();

  await using second = startUp();
  const ready = await readyOf(second);
  // Whoever got no answer asks again, and who got one is told the same.
  const runs: string[] = [];
  let expected = 0;
  for (const [name, effectsEach] of [
    ['steps', STEPS],
    ['plain', 2],
  ] as const) {
    const known = [...acknowledged.runs.keys()].filter((key) => key.startsWith(name)).length;
    for (let turn = 0; turn <= known; turn += 1) {
      const ids = await trigger(ready, name, turn);
      expect(ids).toEqual(acknowledged.runs.get(`${name} ${turn}`) ?? ids);
      runs.push(...ids);
      expected += ids.length * effectsEach;
    }
  }
  expect(before.all).toBeLessThan(expected);

  const ended = await waitFor(
    async () => {
      const rows = await select(
        ready,
        `SELECT run_id, state ${ofRuns} AND task_key = '' AND finished_at IS NOT NULL`,
      );
      return rows.length >= runs.length ? rows : undefined;
    },
    { timeoutMs: LIMIT_MS, intervalMs: 250, what: `${runs.length} runs to end` },
  );
  expect(new Set(ended.map((row) => row['state']))).toEqual(new Set(['succeeded']));
  expect(ended.map((row) => row['run_id']).sort()).toEqual([...runs].sort());
  expect(await effects()).toEqual({ all: expected, different: expected, runs: runs.length });

  await expectEachEventOnce(ready);

  const logs = await select(
    ready,
    `SELECT Body AS id FROM otel.otel_logs WHERE ServiceName = 'theirs'`,
  );
  expect(logs.map((row) => row['id'])).toEqual(expect.arrayContaining(acknowledged.logs));
  const lineage = await select(
    ready,
    `SELECT run_id AS id FROM signalbox.lineage_events WHERE job_namespace = 'theirs'`,
  );
  expect(lineage.map((row) => row['id'])).toEqual(expect.arrayContaining(acknowledged.lineage));
});
