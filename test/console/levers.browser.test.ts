/** Starting, making up for, and holding back work from the console, in a real browser. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Backfill } from '../../domain/backfill.ts';
import type { Run } from '../../domain/run.ts';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { startAgent } from '../../orchestrator/agent/start.ts';
import { definitionsOf } from '../../orchestrator/define/registry.ts';
import { workflow } from '../../orchestrator/index.ts';
import { startTestServer, type TestServer } from '../server/running-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { axeViolations, scrollsSideways, startBrowser, type TestBrowser } from './browser.ts';
import { buildConsole } from './running-console.ts';

const nightly = workflow(
  'nightly',
  {
    schedule: '0 2 * * *',
    timezone: 'UTC',
    parameters: {
      type: 'object',
      properties: { n: { type: 'integer', minimum: 1, maximum: 9, default: 2 } },
    },
  },
  (w) => {
    w.task('work', {}, (ctx) => ctx.parameters['n'] as number);
  },
);

let test: TestServer;
let browser: TestBrowser;
let page: Page;
let errors: string[];
let token: string;
let stop: () => Promise<void>;

beforeAll(async () => {
  await buildConsole();
  [test, browser] = await Promise.all([startTestServer(), startBrowser()]);
  const agent = startAgent({
    transport: inProcessTransport(test.server.parts.orchestrator.agents),
    definitions: definitionsOf([nightly]),
    ...{ name: 'one', queues: ['default'], concurrency: 2, log: () => undefined },
    labels: { disk: 'large' },
  });
  stop = () => agent.stop();
  await waitFor(() => agent.sessionId());
  token = await test.token('operator');
  ({ page, errors } = await browser.open({ timezoneId: 'Europe/Berlin' }));
  page.setDefaultTimeout(20_000);
  const identity = { name: 'jane', role: 'operator' } as const;
  const code = await test.server.parts.credentials.createLoginCode(identity);
  await page.goto(`${test.url}/login#code=${code}`);
  await page.getByText('live', { exact: true }).waitFor();
}, 120_000);
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await stop();
  await test[Symbol.asyncDispose]();
});

async function get<T>(path: string): Promise<T> {
  return (await test.call('GET', `/api/v1${path}`, { token })).body as T;
}

/** What every page keeps, wide and narrow. */
async function expectSound(): Promise<void> {
  for (const width of [360, 1_280]) {
    await page.setViewportSize({ width, height: 860 });
    expect(await scrollsSideways(page)).toBe(false);
    expect(await axeViolations(page)).toBe('');
  }
}

describe('the form that starts a run', () => {
  it('shows a refused parameter at its field, and starts the run once it is right', async () => {
    await page.goto(`${test.url}/workflows/nightly`);
    const field = page.getByLabel('n', { exact: true });
    await field.fill('three');
    await page.getByLabel('Logical date', { exact: true }).fill('2026-03-01T03:00');
    await page.getByLabel('Clock of: Logical date').selectOption('Europe/Berlin');
    await page.getByText('2026-03-01 02:00 UTC').waitFor();
    await page.getByRole('button', { name: 'Start a run of nightly' }).click();
    await page.getByText('must be integer', { exact: true }).waitFor();
    expect(await field.getAttribute('aria-invalid')).toBe('true');
    expect(await field.evaluate((node) => node === node.ownerDocument.activeElement)).toBe(true);
    await expectSound();
    await field.fill('3');
    await page.getByLabel('Priority', { exact: true }).fill('7');
    await page.getByRole('button', { name: 'Start a run of nightly' }).click();
    await page.waitForURL(/\/runs\/[0-9a-f-]+$/);
    const run = await get<Run>(`/runs/${page.url().split('/').at(-1)}`);
    expect(run).toMatchObject({ parameters: { n: 3 }, priority: 7 });
    expect(Date.parse(run.logicalDate ?? '')).toBe(Date.UTC(2026, 2, 1, 2));
  });
});

describe('a backfill', () => {
  it('shows which runs it would make before it starts exactly these', async () => {
    await page.goto(`${test.url}/workflows/nightly?view=backfills`);
    await page.getByRole('link', { name: 'New backfill' }).click();
    await page.getByLabel('First day').fill('2026-02-27');
    await page.getByLabel('Last day').fill('2026-03-02');
    await page.getByLabel('Order').selectOption('newest-first');
    await page.getByLabel('Runs at a time').fill('2');
    await page.getByRole('button', { name: 'Show what it would do' }).click();
    await page.getByText('3 runs would be made, 1 interval left alone.').waitFor();
    expect(
      await page.getByRole('table', { name: 'Runs that it would make' }).getByRole('row').count(),
    ).toBe(5);
    expect((await get<{ items: Backfill[] }>('/backfills')).items).toEqual([]);
    await expectSound();
    // Another range is another plan.
    await page.getByLabel('Last day').fill('2026-03-03');
    await page.getByRole('button', { name: 'Show what it would do' }).click();
    await page.getByRole('button', { name: 'Start the backfill: 4 runs' }).click();
    const made = page.getByRole('listitem', { name: /^Backfill from 2026-02-27/ });
    await made.getByText('5 of 5').waitFor();
    await made.getByRole('table').getByRole('row').nth(4).waitFor();
    const [backfill] = (await get<{ items: Backfill[] }>('/backfills')).items;
    expect(backfill).toMatchObject({ order: 'newest-first', concurrency: 2, total: 5 });
  });
});

describe('a queue', () => {
  it('is paused, keeps what waits in it, and is opened again', async () => {
    await page.goto(`${test.url}/agents`);
    const row = page.getByRole('row').filter({ hasText: 'default' }).first();
    await page.getByText('disk=large').waitFor();
    await row.getByRole('button', { name: 'Pause default' }).click();
    await row.getByText('paused', { exact: true }).waitFor();
    const { body } = await test.call('POST', '/api/v1/workflows/nightly/runs', {
      ...{ token, body: {} },
    });
    const { id } = body as Run;
    await page.goto(`${test.url}/runs/${id}`);
    await page.getByRole('heading', { name: 'Why it waits' }).waitFor();
    await page.getByRole('link', { name: 'queue', exact: true }).click();
    await page.waitForURL(/\/agents\?queue=default$/);
    const panel = page.getByRole('complementary');
    await panel.getByLabel('Tasks at once').fill('4');
    await panel.getByRole('button', { name: 'Save' }).click();
    await row.getByText('at most 4 at once').waitFor();
    await expectSound();
    await row.getByRole('button', { name: 'Resume default' }).click();
    await waitFor(async () => (await get<Run>(`/runs/${id}`)).state === 'succeeded');
    expect(errors).toEqual([]);
  });
});

describe('an environment of a branch', () => {
  it('is chosen in the frame, which says so on every page', async () => {
    await test.server.parts.orchestrator.environments.save({ name: 'pr-7' }, { name: 'token:ci' });
    await page.goto(`${test.url}/workflows`);
    await page.getByText('nightly', { exact: true }).first().waitFor();
    await page.locator('summary', { hasText: 'production' }).click();
    await page.getByRole('link', { name: 'pr-7', exact: true }).click();
    await page.waitForURL(/environment=pr-7/);
    await page.getByText('No workflow yet').waitFor();
    await page.getByRole('link', { name: 'Runs', exact: true }).click();
    await page.waitForURL(/\/runs\?environment=pr-7$/);
    await page.getByText('No run yet').waitFor();
    await expectSound();
    await page.getByRole('link', { name: 'Back to production' }).click();
    await page.getByRole('link', { name: 'nightly', exact: true }).first().waitFor();
  });

  it('is deleted after its plan was shown', async () => {
    await page.goto(`${test.url}/environments?selected=pr-7`);
    await page.getByRole('button', { name: 'Delete pr-7…' }).click();
    await page.getByText(/0 workflows with all runs/).waitFor();
    await expectSound();
    await page.getByRole('button', { name: 'Leave it' }).click();
    expect(await page.getByRole('button', { name: 'Delete pr-7…' }).count()).toBe(1);
    expect(errors).toEqual([]);
  });
});
