import { describe, expect, it } from 'vitest';
import { createOpenLineageReceiver } from '../../../../collector/receive/openlineage/receive.ts';
import type { ExternalRunEvent, ExternalRunSink } from '../../../../domain/events.ts';
import { manualClock } from '../../../../domain/time.ts';
import { openLineageEvents } from '../../recordings.ts';

const NOW = Date.UTC(2026, 10, 24);

describe('OpenLineage as it comes from Airflow and dbt', () => {
  it('understands every recorded event and hands on the runs in the order in which they came', async () => {
    for (const name of ['airflow', 'dbt-run', 'dbt-test', 'dbt-run-structured'] as const) {
      const events = openLineageEvents(name);
      const { receive, runs, lineage } = receiver();
      expect(await receive(events)).toEqual({ accepted: events.length, faults: [] });
      expect(runs).toHaveLength(events.length);
      expect(lineage.map((row) => JSON.parse(row['event'] as string).eventTime)).toEqual(
        events.map((event) => event['eventTime']),
      );
    }
  });

  it("makes a task's COMPLETE a succeeded run of its DAG, with its scheduled time and its output", async () => {
    const { receive, runs } = receiver();
    await receive(openLineageEvents('airflow'));
    const found = runs.find(
      (run) => run.externalId.endsWith('a82e93') && run.state === 'succeeded',
    );
    const dagRun = {
      engine: 'openlineage:lab',
      externalId: '019b76da-a800-7c6f-9cc4-80ba1d124041',
      job: 'two_task',
    };
    expect(found).toEqual({
      engine: 'openlineage:lab',
      externalId: '019b76da-a800-7d9c-978f-1cb980a82e93',
      job: 'two_task.load',
      state: 'succeeded',
      at: Date.parse('2026-11-23T18:10:54.307Z'),
      logicalDate: Date.parse('2026-01-01T00:00:00Z'),
      parameters: {},
      parent: dagRun,
      root: dagRun,
      inputs: [],
      outputs: [{ assetKey: 'file//tmp/lab/orders.csv', rowCount: null, metadata: {}, checks: [] }],
      inputChecks: [],
      error: null,
      owners: ['airflow'],
      businessKey:
        'openlineage:lab|two_task.load|2026-01-01T00:00:00.000Z|{}|file//tmp/lab/orders.csv',
    });
  });

  it('tells two runs of the same scheduled time as the same piece of work, and other days as others', async () => {
    const { receive, runs } = receiver();
    await receive([day('1'), day('2'), day('3', '2026-01-02T00:00:00Z')]);
    const [first, second, third] = runs.map((run) => run.businessKey);
    expect(second).toBe(first);
    expect(third).not.toBe(first);
  });

  it('passes on why a task failed, also where somebody failed it by hand', async () => {
    const { receive, runs } = receiver();
    await receive(openLineageEvents('airflow'));
    const failed = runs.filter((run) => run.state === 'failed');
    expect(failed.map((run) => [run.job, run.error])).toEqual([
      ['fails.boom', 'Bash command failed. The command returned a non-zero exit code 3.'],
      ['fails', expect.any(String)],
      ['slow.sleep90', "TaskInstance's state was manually set to `failed`."],
      ['slow', expect.any(String)],
      ['fails.boom', 'Bash command failed. The command returned a non-zero exit code 3.'],
    ]);
  });

  it('links a dbt model to what it reads, makes and belongs to, and keeps the columns', async () => {
    const { receive, runs, datasets } = receiver();
    await receive(openLineageEvents('dbt-run'));
    const model = runs.find(
      (run) => run.job.endsWith('customer_totals') && run.state === 'succeeded',
    );
    const shop = 'duckdb:///data/lab/clients/dbtproj/shop.duckdb';
    expect(model?.inputs).toEqual([`${shop}/shop.main.stg_orders`]);
    expect(model?.outputs.map((output) => output.assetKey)).toEqual([
      `${shop}/shop.main.customer_totals`,
    ]);
    expect(model?.parent).toMatchObject({ job: 'dbt-run-labshop', engine: 'openlineage:dbt_lab' });
    expect(datasets.get(`${shop}/shop.main.customer_totals`)?.schema).toEqual([
      { name: 'customer', type: null },
      { name: 'total', type: null },
    ]);
  });

  it("makes dbt's tests checks of the assets they read", async () => {
    const { receive, runs } = receiver();
    await receive(openLineageEvents('dbt-test'));
    const ended = runs
      .filter((run) => run.state !== 'running')
      .flatMap((run) => run.inputChecks ?? []);
    expect(
      ended.map(({ assetKey, checks }) => [
        assetKey.split('/').at(-1),
        checks.map((c) => [c.name, c.passed]),
      ]),
    ).toEqual([
      [
        'shop.main.stg_orders',
        [
          ['not_null_stg_orders_id', true],
          ['unique_stg_orders_id', true],
        ],
      ],
      [
        'shop.main.customer_totals',
        [
          ['deliberately_failing', false],
          ['not_null_customer_totals_customer', true],
        ],
      ],
    ]);
    expect(runs.every((run) => run.outputs.length === 0)).toBe(true);
  });
});

describe('OpenLineage by the specification', () => {
  it('keeps the valid events of a body and tells where the others are wrong', async () => {
    const { receive, runs } = receiver();
    const good = day('1');
    const answer = await receive([
      good,
      'no event',
      { ...good, eventTime: '1970-01-01T00:00:00Z' },
      { ...good, eventType: 'DONE' },
      { ...good, run: { runId: 'not-a-uuid' } },
      { eventTime: good.eventTime, eventType: 'START', job: good.job },
      { ...good, outputs: [{ namespace: 'db' }] },
      { ...good, run: { ...good.run, facets: { nominalTime: { nominalStartTime: 'yesterday' } } } },
      { ...good, run: { ...good.run, facets: { parent: { run: { runId: 7 } } } } },
      good,
    ]);
    expect(answer.accepted).toBe(2);
    expect(runs).toHaveLength(2);
    expect(answer.faults.map(({ index, path }) => [index, path])).toEqual([
      [1, ''],
      [2, '/eventTime'],
      [3, '/eventType'],
      [4, '/run/runId'],
      [5, '/run'],
      [6, '/outputs/0/name'],
      [7, '/run/facets/nominalTime/nominalStartTime'],
      [8, '/run/facets/parent'],
    ]);
  });

  it('takes a single event, in any order of start and end, again and again', async () => {
    const { receive, runs } = receiver();
    const start = day('1');
    const complete = { ...start, eventType: 'COMPLETE', eventTime: '2026-11-24T00:05:00Z' };
    for (const event of [complete, start, complete]) {
      expect(await receive(event)).toEqual({ accepted: 1, faults: [] });
    }
    expect(runs.map((run) => run.state)).toEqual(['succeeded', 'running', 'succeeded']);
  });

  it('maps every event type to a state of runs', async () => {
    const { receive, runs } = receiver();
    const types = ['START', 'RUNNING', 'OTHER', undefined, 'COMPLETE', 'FAIL', 'ABORT'];
    await receive(types.map((eventType) => ({ ...day('1'), eventType })));
    expect(runs.map((run) => run.state)).toEqual([
      'running',
      'running',
      'running',
      'running',
      'succeeded',
      'failed',
      'cancelled',
    ]);
  });

  it('reads parameters, row counts, output checks and deleted facets', async () => {
    const { receive, runs } = receiver();
    const assertions = [
      { assertion: 'not_null', column: 'id', success: false },
      { assertion: 'broken' },
    ];
    await receive({
      ...day('1'),
      eventType: 'COMPLETE',
      job: {
        namespace: 'lab',
        name: 'load',
        facets: { ownership: { _deleted: true, owners: [{ name: 'gone' }] } },
      },
      run: {
        runId: id('1'),
        facets: {
          executionParameters: {
            parameters: [
              { key: 'region', value: 'eu' },
              { key: 'n', value: 3 },
            ],
          },
        },
      },
      outputs: [
        {
          namespace: 'db',
          name: 'orders',
          facets: { dataQualityAssertions: { assertions } },
          outputFacets: { outputStatistics: { rowCount: 12, size: 900 } },
        },
      ],
    });
    expect(runs[0]).toMatchObject({
      parameters: { region: 'eu', n: 3 },
      owners: [],
      businessKey: 'openlineage:lab|load|-|{"n":3,"region":"eu"}|db/orders',
      outputs: [
        {
          assetKey: 'db/orders',
          rowCount: 12,
          metadata: { rowCount: 12, sizeBytes: 900 },
          checks: [{ name: 'not_null id', passed: false }],
        },
      ],
    });
  });

  it('takes dataset and job events as news of assets', async () => {
    const { receive, datasets, runs, lineage } = receiver();
    const eventTime = '2026-11-24T00:00:00Z';
    const schema = { fields: [{ name: 'id', type: 'int' }] };
    const answer = await receive([
      { eventTime, dataset: { namespace: 'db', name: 'orders', facets: { schema } } },
      {
        eventTime,
        job: { namespace: 'lab', name: 'load' },
        inputs: [{ namespace: 'db', name: 'raw' }],
      },
    ]);
    expect(answer).toEqual({ accepted: 2, faults: [] });
    expect(runs).toEqual([]);
    expect([...datasets.values()].map(({ key, schema: columns }) => [key, columns])).toEqual([
      ['db/orders', [{ name: 'id', type: 'int' }]],
      ['db/raw', null],
    ]);
    expect(
      lineage.map((row) => [row['type'], row['job_name'], row['inputs'], row['outputs']]),
    ).toEqual([
      ['DATASET', '', [], ['db/orders']],
      ['JOB', 'load', ['db/raw'], []],
    ]);
  });

  it('takes out what no database can keep, and refuses what is nested without end', async () => {
    const { receive, runs } = receiver();
    const errorMessage = { message: 'a\0b\ud800' };
    let deep: unknown = 1;
    for (let depth = 0; depth < 20_000; depth += 1) deep = [deep];
    const answer = await receive([
      { ...day('1'), eventType: 'FAIL', run: { runId: id('1'), facets: { errorMessage } } },
      { ...day('2'), run: { runId: id('2'), facets: { deep } } },
    ]);
    expect(answer.faults.map(({ index, path }) => [index, path])).toEqual([[1, '']]);
    expect(runs.map((run) => run.error)).toEqual(['ab\ufffd']);
  });
});

/** The receiver with a sink and a table that remember. */
function receiver() {
  const runs: ExternalRunEvent[] = [];
  const datasets = new Map<string, { schema: unknown; key: string }>();
  const lineage: Record<string, unknown>[] = [];
  const sink: ExternalRunSink = {
    async record(events) {
      runs.push(...events);
    },
    async recordDatasets(all) {
      for (const asset of all) datasets.set(asset.key, asset);
    },
  };
  const writer = {
    async record(_table: string, { body }: { body: Buffer }) {
      const lines = body
        .toString()
        .split('\n')
        .filter((line) => line !== '');
      lineage.push(...lines.map((line) => JSON.parse(line) as Record<string, unknown>));
    },
  };
  return {
    receive: createOpenLineageReceiver({ writer, sink, clock: manualClock(NOW) }),
    runs,
    datasets,
    lineage,
  };
}

function id(digit: string): string {
  return `01a20995-0000-7000-8000-00000000000${digit}`;
}

function day(digit: string, nominalStartTime = '2026-01-01T00:00:00Z') {
  return {
    eventTime: '2026-11-24T00:00:00Z',
    eventType: 'START',
    producer: 'https://example.com/producer',
    schemaURL: 'https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent',
    run: { runId: id(digit), facets: { nominalTime: { nominalStartTime } } },
    job: { namespace: 'lab', name: 'load' },
  };
}
