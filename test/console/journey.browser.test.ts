/** What a person does in the console, on a whole Signalbox, in a real browser. */
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { axeViolations, scrollsSideways, startBrowser, type TestBrowser } from './browser.ts';
import { type RunningConsole, startConsole } from './running-console.ts';

let signalbox: RunningConsole;
let browser: TestBrowser;
let page: Page;
let errors: string[];

beforeAll(async () => {
  [signalbox, browser] = await Promise.all([startConsole(), startBrowser()]);
  ({ page, errors } = await browser.open());
  page.setDefaultTimeout(30_000);
});
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await signalbox[Symbol.asyncDispose]();
});

const title = (target: Page = page) => target.getByRole('heading', { level: 1 });
const goto = (path: string) => page.goto(signalbox.url + path);

async function signIn(target: Page): Promise<void> {
  await target.goto(`${signalbox.url}/login`);
  await target.getByLabel('Token').fill(signalbox.token);
  await target.getByRole('button', { name: 'Sign in' }).click();
  await target.getByText('live', { exact: true }).waitFor();
}

describe('signing in', () => {
  it('sends whoever is not signed in to the sign-in page, and back to where he wanted', async () => {
    const { page: other } = await browser.open();
    await other.goto(`${signalbox.url}/runs?state=failed`);
    await other.getByLabel('Token').fill(signalbox.token);
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByRole('heading', { name: 'Runs' }).waitFor();
    expect(new URL(other.url()).search).toBe('?state=failed');
    await other.context().close();
  });

  it('opens by the printed link, which leaves no code in the address', async () => {
    await page.goto(signalbox.loginUrl);
    await page.getByText('live', { exact: true }).waitFor();
    expect(new URL(page.url())).toMatchObject({ pathname: '/', hash: '' });
    expect(await title().textContent()).toMatch(/\S/);
  });

  it('says what to do where the link was used before', async () => {
    const { page: other } = await browser.open();
    await other.goto(signalbox.loginUrl);
    expect(await other.getByRole('alert').textContent()).toMatch(/token/i);
    await other.context().close();
  });
});

describe('a run', () => {
  it('starts from the form of its parameters and is seen live to its end', async () => {
    await goto('/workflows');
    await page.getByRole('link', { name: 'fan-out', exact: true }).click();
    await page.getByLabel('n', { exact: true }).fill('3');
    await page.getByRole('button', { name: 'Start a run of fan-out' }).click();
    await page.waitForURL(/\/runs\/[0-9a-f-]+$/);
    await page.locator('main').getByText('succeeded', { exact: true }).first().waitFor();
    await page.getByText('part-2').first().waitFor();
    await page.getByRole('link', { name: /part-2/ }).click();
    expect(page.url()).toMatch(/\?task=part-2$/);
    expect(await page.getByRole('complementary').textContent()).toContain('part-2');
  });

  it('is refused with the path of what is wrong with its parameters', async () => {
    await goto('/workflows/fan-out');
    await page.getByRole('button', { name: 'Write JSON' }).click();
    await page.getByLabel('Parameters as JSON').fill('{"n": "three"}');
    await page.getByRole('button', { name: 'Start a run of fan-out' }).click();
    expect(await page.getByRole('alert').textContent()).toMatch(/parameters do not match/);
  });

  it('is found by filters that stand in the URL, by keys, and back leads back', async () => {
    await goto('/runs');
    await page.getByRole('row').nth(1).waitFor();
    await page.getByRole('link', { name: 'failed', exact: true }).click();
    expect(new URL(page.url()).search).toBe('?state=failed');
    await page.goBack();
    await page.getByRole('row').nth(1).waitFor();
    await page.keyboard.press('j');
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/runs\/[0-9a-f-]+$/);
    await page.goBack();
    await page.keyboard.press('/');
    await page.keyboard.type('nothing like that');
    await page.getByText('No run is like that').waitFor();
  });
});

describe('finding things', () => {
  it('goes anywhere by name', async () => {
    await goto('/');
    await page.getByText('live', { exact: true }).waitFor();
    await page.keyboard.press('Control+k');
    await page.keyboard.type('daily-ord');
    await page.getByRole('button', { name: /workflow daily-orders/ }).waitFor();
    await page.keyboard.press('Enter');
    await page.waitForURL(/\/workflows\/daily-orders$/);
  });

  it('says so where there is no such page', async () => {
    await goto('/nowhere');
    await page.getByText('There is no such page').waitFor();
  });
});

describe.each([
  ['/', 'light'],
  ['/', 'dark'],
  ['/incidents', 'light'],
  ['/runs', 'dark'],
  ['/workflows', 'light'],
  ['/workflows/daily-orders', 'dark'],
  ['/assets', 'light'],
  ['/assets/example%2Fclean_customers', 'dark'],
  ['/assets/example%2Fdaily_orders', 'light'],
  ['/pools', 'light'],
  ['/agents', 'dark'],
  ['/automation', 'light'],
] as const)('the page %s in %s', (path, colorScheme) => {
  it('keeps the rules of accessibility, and fits a small screen', async () => {
    await page.emulateMedia({ colorScheme });
    await goto(path);
    await title().first().waitFor();
    for (const reading of await page.getByText('Reading…').all()) {
      await reading.waitFor({ state: 'detached' });
    }
    expect(await axeViolations(page)).toBe('');
    expect(await scrollsSideways(page)).toBe(false);
    await page.setViewportSize({ width: 360, height: 740 });
    expect(await scrollsSideways(page)).toBe(false);
    expect(await axeViolations(page)).toBe('');
    await page.setViewportSize({ width: 1280, height: 860 });
  });
});

describe('when the server goes away', () => {
  it('says so in the frame and keeps what it showed', async () => {
    const { page: other } = await browser.open();
    await signIn(other);
    await other.goto(`${signalbox.url}/workflows`);
    await other.getByRole('link', { name: 'fan-out', exact: true }).waitFor();
    await signalbox.process.stop('SIGTERM', 20_000);
    await other.getByText(/^disconnected/).waitFor();
    expect(await other.getByRole('link', { name: 'fan-out', exact: true }).isVisible()).toBe(true);
  });

  it('has thrown no error in all of this', () => {
    expect(errors).toEqual([]);
  });
});
