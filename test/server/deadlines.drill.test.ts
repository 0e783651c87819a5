import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Deadline } from '../../domain/deadline.ts';
import { startProcess, type TestProcess } from '../support/child-process.ts';
import { makeTempDir } from '../support/temp-dir.ts';
import { waitFor } from '../support/wait-for.ts';
import { alive, descendantsOf } from './process-tree.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
const LIMIT_MS = 90_000;
const RUNS = 30;
const SLA_MS = 2_000;

function startUp(path: string): TestProcess {
  const ports = ['--port', '0', '--otlp-port', '0', '--clickhouse-port', '0'];
  const folders = ['--data-dir', join(path, 'data'), '--workflows', 'workflows'];
  return startProcess(
    process.execPath,
    [MAIN, 'up', '--json', '--no-examples', ...folders, ...ports],
    { cwd: path, env: { NODE_ENV: undefined, VITEST: undefined, SIGNALBOX_LEASE: '5s' } },
  );
}

async function ready(up: TestProcess) {
  const line = await up.waitForLine(/^\{"url"/, LIMIT_MS);
  const { url, token } = JSON.parse(line) as { url: string; token: string };
  return async <T>(method: string, at: string, body?: unknown): Promise<T> => {
    const response = await fetch(`${url}/api/v1${at}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  };
}

interface List<T> {
  readonly items: readonly T[];
}

it('where everything is killed at the moment of deadlines, each is missed once, told once, and called back', async () => {
  await using temp = await makeTempDir('deadlines');
  const calls = join(temp.path, 'calls.txt');
  await mkdir(join(temp.path, 'workflows'));
  await writeFile(
    join(temp.path, 'workflows', 'late.ts'),
    `import { appendFile } from 'node:fs/promises';
     import { setTimeout as delay } from 'node:timers/promises';
     import { flow } from 'signalbox';
     export const late = flow('late', {
       sla: ${SLA_MS},
       onDeadline: (event) => appendFile(${JSON.stringify(calls)}, event.runId + ' ' + event.key + '\\n'),
     }, (ctx) => delay(600_000, null, { signal: ctx.signal }));`,
  );
  const first = startUp(temp.path);
  const before = await ready(first);
  await waitFor(() => before('GET', '/workflows/late'), { timeoutMs: LIMIT_MS });
  const runs = Array.from({ length: RUNS }, (_, index) => ({ idempotencyKey: `late-${index}` }));
  const made = await before<List<{ id: string }>>('POST', '/workflows/late/runs/batch', { runs });
  const startedAt = performance.now();
  const pids = [first.pid, ...(await descendantsOf(first.pid))];
  await waitFor(() => performance.now() - startedAt >= SLA_MS, { timeoutMs: 2 * SLA_MS });
  for (const pid of pids) process.kill(pid, 'SIGKILL');
  await waitFor(async () => (await alive(pids)).length === 0);

  await using second = startUp(temp.path);
  const after = await ready(second);
  const ids = made.items.map(({ id }) => id).sort();
  const missed = await waitFor(
    async () => {
      const { items } = await after<List<Deadline>>('GET', '/deadlines?limit=1000');
      return items.length >= RUNS && items;
    },
    { timeoutMs: LIMIT_MS, what: 'all deadlines to be missed' },
  );
  expect(missed.map(({ runId }) => runId).sort()).toEqual(ids);
  const lines = await waitFor(
    async () => {
      const text = await readFile(calls, 'utf8');
      const each = text.trim().split('\n');
      return new Set(each).size >= RUNS && each;
    },
    { timeoutMs: LIMIT_MS, what: 'all callbacks' },
  );
  // One that was under way may have come again, under the same key.
  expect([...new Set(lines)].map((line) => line.split(' ')[0]).sort()).toEqual(ids);
  const told = await waitFor(
    async () => {
      const sql = `SELECT run_id FROM signalbox.run_events WHERE state = 'sla-missed'`;
      const { rows } = await after<{ rows: { run_id: string }[] }>('POST', '/query', { sql });
      return rows.length >= RUNS && rows;
    },
    { timeoutMs: LIMIT_MS, what: 'the events in ClickHouse' },
  );
  expect(told.map(({ run_id }) => run_id).sort()).toEqual(ids);
  await second.stop();
}, 300_000);
