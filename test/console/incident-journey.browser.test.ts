/** A real outage, watched in the console from its first sign to the verdict, without a reload. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { TestProcess } from '../support/child-process.ts';
import { waitFor } from '../support/wait-for.ts';
import { axeViolations, startBrowser, type TestBrowser } from './browser.ts';
import { buildConsole, startSignalbox } from './running-console.ts';

const LIMIT_MS = 180_000;

let browser: TestBrowser;
let drill: TestProcess;

beforeAll(async () => {
  await buildConsole();
  browser = await startBrowser();
  drill = startSignalbox(['drill', 'asset-cascade', '--json']);
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await drill.stop('SIGTERM', 20_000);
});

it('tells the story of a dead source from evidence to verdict', async () => {
  const link = await waitFor(() => /http\S+#code=\S+/.exec(drill.stderr())?.[0], {
    timeoutMs: LIMIT_MS,
    what: 'the link of the console',
  });
  const { page, errors } = await browser.open({ colorScheme: 'dark' });
  page.setDefaultTimeout(LIMIT_MS);
  await page.goto(link);
  const headline = page.getByRole('heading', { level: 1 }).getByRole('link');
  await headline.waitFor();
  expect(await headline.textContent()).toMatch(/^1 incident: /);
  await page
    .getByRole('link', { name: /the trouble starts here/ })
    .first()
    .waitFor();
  await headline.click();
  await page.getByRole('heading', { name: 'Evidence' }).waitFor();
  expect(await axeViolations(page)).toBe('');
  await page.getByText(/^Verdict: recovered/).waitFor();
  await page.locator('main').getByText('resolved', { exact: true }).first().waitFor();
  expect(await page.getByText('under way').count()).toBe(0);
  expect(errors).toEqual([]);
});
