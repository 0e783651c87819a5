import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { taskOf, workflowOf } from '../definitions.ts';
import { ACTOR, assetOf, type Stand, startCatalog } from './stand.ts';

let stand: Stand;
beforeAll(async () => {
  stand = await startCatalog();
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
});

const versions = async (name: string) => {
  const rows = await stand.db.query(
    'SELECT id FROM signalbox.workflow_version WHERE workflow = $1',
    [name],
  );
  return rows.length;
};

describe('registration', () => {
  test('a workflow is shown with its tasks, its schedule and its next run', async () => {
    await stand.catalog.workflows.register(
      [
        workflowOf('daily', {
          schedule: { cron: '@daily', timezone: 'Europe/Berlin', catchup: false },
          tags: ['nightly'],
          tasks: [taskOf('extract'), taskOf('load', { after: ['extract'] })],
        }),
      ],
      [],
    );
    const workflow = await stand.catalog.workflows.get('daily');
    expect(workflow.tasks).toEqual([
      { key: 'extract', after: [] },
      { key: 'load', after: ['extract'] },
    ]);
    expect(workflow.tags).toEqual(['nightly']);
    expect(Date.parse(workflow.nextRunAt ?? '')).toBeGreaterThan(Date.now());
    expect(Date.parse(workflow.nextRunAt ?? '') - Date.now()).toBeLessThan(25 * 3_600_000);
  });

  test('the same definition again makes no version, another makes one, and the last one wins', async () => {
    const first = workflowOf('versions');
    const second = workflowOf('versions', { tasks: [taskOf('other')] });
    await stand.catalog.workflows.register([first], []);
    await stand.catalog.workflows.register([first], []);
    expect(await versions('versions')).toBe(1);
    await stand.other.workflows.register([second], []);
    expect((await stand.catalog.workflows.get('versions')).tasks[0]?.key).toBe('other');
    await stand.catalog.workflows.register([first], []);
    expect((await stand.catalog.workflows.get('versions')).tasks[0]?.key).toBe('only');
    expect(await versions('versions')).toBe(2);
  });

  test('what is wrong with one definition is told by its file and hurts no other', async () => {
    await stand.catalog.workflows.register(
      [
        workflowOf('bad-cron', {
          schedule: { cron: '61 * * * *', timezone: 'UTC', catchup: false },
        }),
        workflowOf('bad-zone', {
          schedule: { cron: '@daily', timezone: 'Mars/X', catchup: false },
        }),
        workflowOf('never', { schedule: { cron: '0 0 30 2 *', timezone: 'UTC', catchup: false } }),
        workflowOf('circle', {
          tasks: [taskOf('a', { after: ['b'] }), taskOf('b', { after: ['a'] })],
        }),
        workflowOf('lost', { tasks: [taskOf('a', { after: ['nowhere'] })] }),
        workflowOf('assets'),
        workflowOf('nul\0', { file: 'nul.ts' }),
        workflowOf('half\ud83d', { file: 'half.ts', description: 'half a smile \ud83d' }),
        workflowOf('described', { description: 'half a smile \ud83d, and \0' }),
        workflowOf('good'),
      ],
      [{ file: 'throws.ts', message: 'SyntaxError: unexpected token' }],
    );
    const faults = new Map(
      (await stand.catalog.workflows.fileErrors()).map((fault) => [fault.file, fault.message]),
    );
    expect(faults.get('bad-cron.ts')).toContain('61 * * * *');
    expect(faults.get('bad-zone.ts')).toContain('Mars/X');
    expect(faults.get('never.ts')).toContain('never comes');
    expect(faults.get('circle.ts')).toContain('circle');
    expect(faults.get('lost.ts')).toContain('nowhere');
    expect(faults.get('assets.ts')).toContain('own');
    expect(faults.get('throws.ts')).toContain('SyntaxError');
    expect(faults.get('nul.ts')).toContain('printable');
    expect(faults.get('half.ts')).toContain('printable');
    expect((await stand.catalog.workflows.get('described')).description).toBe(
      'half a smile \ufffd, and \ufffd',
    );
    expect(faults.has('good.ts')).toBe(false);
    await expect(stand.catalog.workflows.get('good')).resolves.toMatchObject({ name: 'good' });
    await expect(stand.catalog.workflows.get('circle')).rejects.toMatchObject({
      code: 'not-found',
    });
  });

  test('what the servers run themselves is not listed, and no file takes its name', async () => {
    const own = workflowOf('runbook', { kind: 'flow', file: '', queue: 'signalbox-system' });
    await stand.catalog.workflows.register([own], []);
    await stand.other.workflows.register([{ ...own, tags: ['newer'] }], []);
    await stand.catalog.workflows.register([workflowOf('runbook')], []);
    expect(await stand.catalog.workflows.get('runbook')).toMatchObject({
      kind: 'system',
      tags: ['newer'],
    });
    const { items } = await stand.catalog.workflows.list({});
    expect(items.map((item) => item.name)).not.toContain('runbook');
    const files = (await stand.catalog.workflows.fileErrors()).map((fault) => fault.file);
    expect(files).toContain('runbook.ts');
  });

  test('a file that is right again is no longer told', async () => {
    await stand.catalog.workflows.register([], [{ file: 'mended.ts', message: 'broken' }]);
    await stand.catalog.workflows.register([workflowOf('mended')], []);
    const files = (await stand.catalog.workflows.fileErrors()).map((fault) => fault.file);
    expect(files).not.toContain('mended.ts');
  });

  test('two files that define one name: the first counts, the second is told', async () => {
    await stand.catalog.workflows.register(
      [workflowOf('twice', { file: 'one.ts' }), workflowOf('twice', { file: 'two.ts' })],
      [],
    );
    expect((await stand.catalog.workflows.get('twice')).file).toBe('one.ts');
    expect(await stand.catalog.workflows.fileErrors()).toContainEqual(
      expect.objectContaining({ file: 'two.ts', message: 'twice is defined in one.ts too' }),
    );
  });

  test('an edit of a workflow leaves the next run of its schedule, another schedule does not', async () => {
    const schedule = { cron: '0 4 1 1 *', timezone: 'UTC', catchup: false };
    await stand.catalog.workflows.register([workflowOf('edited', { schedule })], []);
    await stand.db.execute(
      `UPDATE signalbox.workflow SET next_run_at = '2190-01-01' WHERE name = 'edited'`,
    );
    await stand.catalog.workflows.register([workflowOf('edited', { schedule, tags: ['new'] })], []);
    expect((await stand.catalog.workflows.get('edited')).nextRunAt).toBe(
      '2190-01-01T00:00:00.000Z',
    );
    const other = { ...schedule, cron: '0 5 1 1 *' };
    await stand.catalog.workflows.register([workflowOf('edited', { schedule: other })], []);
    const { nextRunAt } = await stand.catalog.workflows.get('edited');
    expect(Date.parse(nextRunAt ?? '')).toBeLessThan(Date.parse('2190-01-01'));
    expect(Date.parse(nextRunAt ?? '')).toBeGreaterThan(Date.now());
    await stand.catalog.workflows.register([workflowOf('edited')], []);
    expect((await stand.catalog.workflows.get('edited')).nextRunAt).toBeNull();
  });

  test('a paused workflow stays paused when it is registered anew', async () => {
    await stand.catalog.workflows.register([workflowOf('paused')], []);
    await stand.catalog.workflows.setPaused('paused', true, ACTOR);
    await stand.catalog.workflows.register([workflowOf('paused', { tags: ['new'] })], []);
    expect((await stand.catalog.workflows.get('paused')).paused).toBe(true);
    const again = await stand.catalog.workflows.setPaused('paused', false, ACTOR);
    expect(again.paused).toBe(false);
  });

  test('lists go by name in pages, without assets and what the product runs itself', async () => {
    await using own = await startCatalog();
    const names = Array.from({ length: 7 }, (_, index) => `flow-${index}`);
    await own.catalog.workflows.register(
      [...names.map((name) => workflowOf(name, { kind: 'flow', tasks: [] })), assetOf('a/b')],
      [],
    );
    const first = await own.catalog.workflows.list({ limit: 3 });
    expect(first.items.map((item) => item.name)).toEqual(names.slice(0, 3));
    const rest = await own.catalog.workflows.list({ limit: 4, cursor: first.nextCursor ?? '' });
    expect(rest.items.map((item) => item.name)).toEqual(names.slice(3));
    expect(rest.nextCursor).toBeNull();
    await expect(own.catalog.workflows.list({ cursor: 'nonsense' })).rejects.toMatchObject({
      code: 'invalid-cursor',
    });
  });

  test('two agents that register the same thousands at once end with all of them', async () => {
    await using own = await startCatalog();
    const definitions = Array.from({ length: 2_000 }, (_, index) => workflowOf(`many-${index}`));
    await Promise.all([
      own.catalog.workflows.register(definitions, []),
      own.other.workflows.register([...definitions].reverse(), []),
    ]);
    const [row] = await own.db.query<{ n: number }>(
      'SELECT count(*)::int AS n FROM signalbox.workflow',
    );
    expect(row?.n).toBe(2_000);
  });

  test('15,000 definitions take seconds, and much less when nothing has changed', async () => {
    await using own = await startCatalog();
    const definitions = Array.from({ length: 15_000 }, (_, index) =>
      workflowOf(`many-${index}`, {
        schedule: { cron: `${index % 60} ${index % 24} * * *`, timezone: 'UTC', catchup: false },
        tasks: [taskOf('a'), taskOf('b', { after: ['a'] }), taskOf('c', { after: ['b'] })],
      }),
    );
    const startMs = performance.now();
    await own.catalog.workflows.register(definitions, []);
    const firstMs = performance.now() - startMs;
    await own.catalog.workflows.register(definitions, []);
    const secondMs = performance.now() - startMs - firstMs;
    expect(firstMs).toBeLessThan(10_000);
    expect(secondMs).toBeLessThan(2_500);
  });
});
