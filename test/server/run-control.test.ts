/** What people do to runs by hand, over HTTP and on the command line. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Run } from '../../domain/run.ts';
import type { Effect } from '../../domain/run-control.ts';
import { taskOf, workflowOf } from '../orchestrator/definitions.ts';
import { startProcess } from '../support/child-process.ts';
import { startTestServer, type TestServer } from './running-server.ts';

const MAIN = join(import.meta.dirname, '..', '..', 'server', 'cli', 'main.ts');
let test: TestServer;
let token: string;

beforeAll(async () => {
  test = await startTestServer();
  token = await test.token('operator');
  const tasks = [taskOf('extract'), taskOf('load', { after: ['extract'] })];
  // Nobody works on this queue: what the calls do is all that happens.
  const definition = workflowOf('orders', { tasks, queue: 'nobody' });
  await test.server.parts.orchestrator.workflows.register([definition], []);
});
afterAll(() => test[Symbol.asyncDispose]());

const call = (method: string, path: string, body?: unknown) =>
  test.call(method, `/api/v1${path}`, { token, ...(body === undefined ? {} : { body }) });
const newRun = async (body: object = {}) =>
  ((await call('POST', '/workflows/orders/runs', body)).body as Run).id;

async function cli(...args: readonly string[]) {
  await using program = startProcess(process.execPath, [MAIN, ...args], {
    env: { SIGNALBOX_URL: test.url, SIGNALBOX_TOKEN: token },
  });
  return { code: await program.waitForExit(), out: program.stdout() };
}

describe('actions on a run', () => {
  it('show their effect for dryRun in the query or the body, and change nothing then', async () => {
    const id = await newRun();
    for (const [path, body] of [
      [`/runs/${id}/mark?dryRun=true`, { as: 'succeeded' }],
      [`/runs/${id}/mark`, { as: 'succeeded', dryRun: true }],
    ] as const) {
      expect(await call('POST', path, body)).toMatchObject({
        status: 200,
        body: { action: 'mark', dryRun: true, counts: { runs: 1, tasks: 2 } },
      });
    }
    expect((await call('POST', `/runs/${id}/cancel?dryRun=true`, {})).body).toMatchObject({
      ...{ action: 'cancel', runs: [{ runId: id, from: 'queued', to: 'cancelled' }] },
    });
    expect((await call('GET', `/runs/${id}`)).body).toMatchObject({ state: 'queued' });
  });

  it('are done, listed with who did them, and in the audit trail', async () => {
    const id = await newRun();
    const paused = await call('POST', `/runs/${id}/pause`, {});
    expect(paused.body).toMatchObject({ id, state: 'queued', pausedAt: expect.any(String) });
    await call('POST', `/runs/${id}/resume`, {});
    const marked = { as: 'succeeded', tasks: ['extract'], result: [1], reason: 'by hand' };
    expect((await call('POST', `/runs/${id}/mark`, marked)).body).toMatchObject({
      runs: [
        {
          tasks: [
            { key: 'extract', to: 'succeeded' },
            { key: 'load', to: 'ready' },
          ],
        },
      ],
    });
    expect((await call('GET', `/runs/${id}/actions`)).body).toMatchObject({
      items: [{ action: 'mark', reason: 'by hand' }, { action: 'resume' }, { action: 'pause' }],
    });
    expect((await call('GET', `/runs/${id}/tasks/extract/attempts`)).body).toMatchObject({
      items: [{ attempt: 1, state: 'succeeded', resultBytes: 3 }],
    });
    const { body } = await call('GET', '/audit');
    const actions = (body as { items: { action: string }[] }).items.map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(['POST /api/v1/runs/:id/mark']));
  });

  it('are refused with what is wrong', async () => {
    const id = await newRun();
    expect(await call('POST', `/runs/${id}/mark`, { as: 'lost' })).toMatchObject({
      ...{ status: 400, body: { errors: [{ path: '/as' }] } },
    });
    expect(await call('POST', `/runs/${id}/clear`, { tasks: ['none'] })).toMatchObject({
      ...{ status: 404, body: { detail: 'the run has no task "none"; it has extract, load' } },
    });
    expect(await call('POST', '/runs/clear', {})).toMatchObject({ status: 400 });
    expect(await call('POST', '/runs/clear', { workflow: 'orders', limit: 9_999 })).toMatchObject({
      status: 400,
    });
    expect(await call('GET', `/runs/${id}/tasks/none/attempts`)).toMatchObject({ status: 404 });
    expect(await call('POST', `/runs/${id}/rerun`, {})).toMatchObject({ status: 409 });
  });
});

describe('the command line', () => {
  it('shows the plan of a clear over many runs, and does it without a question where none can be asked', async () => {
    const ids: string[] = [];
    for (const day of ['01', '02', '03']) {
      const id = await newRun({ logicalDate: `2026-04-${day}T00:00:00Z` });
      await call('POST', `/runs/${id}/mark`, { as: 'failed' });
      ids.push(id);
    }
    const args = ['tasks', 'clear', 'orders', '--from', '2026-04-01', '--to', '2026-04-02'];
    const shown = await cli(...args, '--dry-run', '--json');
    expect(shown.code).toBe(0);
    const effect = JSON.parse(shown.out) as Effect;
    expect(effect).toMatchObject({ dryRun: true, counts: { runs: 2, tasks: 4, rerun: 4 } });
    expect(effect.runs.map(({ runId }) => runId)).toEqual(ids.slice(0, 2));
    const done = await cli(...args, '--task', 'extract', '--downstream');
    expect(done.out).toContain('2 runs cleared');
    expect((await call('GET', `/runs/${ids[0]}`)).body).toMatchObject({ state: 'queued' });
    expect((await call('GET', `/runs/${ids[2]}`)).body).toMatchObject({ state: 'failed' });
  });

  it('shows a task with its attempts, marks, reruns, and ends with 2 for what makes no sense', async () => {
    const id = await newRun();
    expect((await cli('runs', 'mark', id, '--as', 'succeeded', '--task', 'extract')).out).toMatch(
      /extract\s+ready\s+succeeded\s+selected/,
    );
    const [shown, wrong, refused] = await Promise.all([
      cli('tasks', 'show', id, 'extract'),
      cli('runs', 'cancel', id, '--workflow', 'orders'),
      cli('runs', 'rerun', id),
    ]);
    expect(shown.out).toMatch(/ATTEMPT[\s\S]*succeeded/);
    expect([wrong.code, refused.code]).toEqual([2, 1]);
    await call('POST', `/runs/${id}/cancel`, {});
    const again = await cli('runs', 'retry', id, '--as-new-run', '--json');
    expect(JSON.parse(again.out)).toMatchObject({ retryOf: id, trigger: 'retry' });
  });
});
