/** What a person does to a run by hand in the console: the effect is shown first, in a real browser. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Run } from '../../domain/run.ts';
import { waitFor } from '../support/wait-for.ts';
import { axeViolations, startBrowser, type TestBrowser } from './browser.ts';
import { type RunningConsole, startConsole } from './running-console.ts';

let signalbox: RunningConsole;
let browser: TestBrowser;
let page: Page;
let errors: string[];

beforeAll(async () => {
  [signalbox, browser] = await Promise.all([startConsole(), startBrowser()]);
  ({ page, errors } = await browser.open());
  page.setDefaultTimeout(30_000);
  await page.goto(signalbox.loginUrl);
  await page.getByText('live', { exact: true }).waitFor();
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await signalbox[Symbol.asyncDispose]();
});

async function api<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await fetch(`${signalbox.url}/api/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${signalbox.token}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  });
  if (!response.ok) throw new Error(`${method} ${path}: ${await response.text()}`);
  return (await response.json()) as T;
}

/** A run of the workflow that has succeeded. */
async function finishedRun(workflow: string): Promise<string> {
  const { id } = await api<Run>('POST', `/workflows/${workflow}/runs`, {
    logicalDate: '2026-03-01T00:00:00Z',
  });
  await waitFor(async () => (await api<Run>('GET', `/runs/${id}`)).state === 'succeeded', {
    timeoutMs: 60_000,
  });
  return id;
}

describe('a task of a run', () => {
  it('is run again with what follows, after the effect was shown', async () => {
    const id = await finishedRun('daily-orders');
    await page.goto(`${signalbox.url}/runs/${id}?task=validate`);
    const panel = page.getByRole('complementary');
    await panel.getByRole('button', { name: 'Run validate again…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('2 tasks run again').waitFor();
    expect(await dialog.getByRole('row').allTextContents()).toEqual([
      expect.stringContaining('Task'),
      expect.stringMatching(/validate.*succeeded.*ready.*chosen/),
      expect.stringMatching(/book.*succeeded.*pending.*comes after/),
    ]);
    expect(await axeViolations(page)).toBe('');
    await dialog.getByLabel('And everything that comes after it').uncheck();
    await dialog.getByText('1 task runs again').waitFor();
    await dialog.getByText('Come after them and keep what they have').waitFor();
    await dialog.getByLabel('Why, for the record').fill('late rows');
    await dialog.getByRole('button', { name: 'Run again' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByText('late rows').waitFor();
    await panel.getByRole('heading', { name: 'Attempts' }).waitFor();
    await page.locator('.head').getByText('succeeded', { exact: true }).waitFor();
  });
});

describe('a run', () => {
  it('is marked as failed, and retried in full, each with its effect shown before', async () => {
    const id = await finishedRun('daily-orders');
    await page.goto(`${signalbox.url}/runs/${id}`);
    await page.getByRole('button', { name: 'Mark the run as failed…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('The run goes from succeeded to failed.').waitFor();
    await dialog.getByRole('button', { name: 'Mark as failed' }).click();
    await page.locator('.head').getByText('failed', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Run everything again…' }).click();
    await dialog.getByText('3 tasks run again').waitFor();
    await dialog.getByRole('button', { name: 'Run all again' }).click();
    await page.locator('.head').getByText('succeeded', { exact: true }).waitFor();
  });

  it('is paused and goes on where it was', async () => {
    await api('PUT', '/queues/default', { paused: true });
    const { id } = await api<Run>('POST', '/workflows/daily-orders/runs', {
      logicalDate: '2026-03-02T00:00:00Z',
    });
    await page.goto(`${signalbox.url}/runs/${id}`);
    await page.getByRole('button', { name: 'Pause the run…' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('Paused', { exact: true }).waitFor();
    await api('PUT', '/queues/default', { paused: false });
    await page.getByRole('button', { name: 'Resume the run…' }).click();
    await dialog.getByRole('button', { name: 'Resume' }).click();
    await page.locator('.head').getByText('succeeded', { exact: true }).waitFor();
  });

  it('leaves no script error behind', () => {
    expect(errors).toEqual([]);
  });
});
