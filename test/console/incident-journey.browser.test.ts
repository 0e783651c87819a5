/** A real outage, watched in the console from its first sign to the verdict, without a reload. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { drillAssetCascade } from '../../server/drills/asset-cascade.ts';
import { type DrillInstance, startInstance } from '../../server/drills/instance.ts';
import { freePort } from '../support/free-port.ts';
import { axeViolations, startBrowser, type TestBrowser } from './browser.ts';
import { buildConsole } from './running-console.ts';

const LIMIT_MS = 120_000;

let browser: TestBrowser;
let instance: DrillInstance;

beforeAll(async () => {
  await buildConsole();
  [browser, instance] = await Promise.all([startBrowser(), startInstance(await freePort())]);
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await instance.stop();
});

it('tells the story of a dead source from evidence to verdict', async () => {
  const { page, errors } = await browser.open({ colorScheme: 'dark' });
  page.setDefaultTimeout(LIMIT_MS);
  await page.goto(instance.loginUrl);
  await page.getByText('live', { exact: true }).waitFor();
  const drill = drillAssetCascade(instance, () => undefined);

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

  const [card] = await drill;
  expect(card?.falseActions).toBe(0);
});
