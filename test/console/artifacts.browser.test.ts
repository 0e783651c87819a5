/** What tasks show, on the page of their run, in a real browser: seen by people, never run as code. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Run } from '../../domain/run.ts';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { startAgent } from '../../orchestrator/agent/start.ts';
import { definitionsOf } from '../../orchestrator/define/registry.ts';
import { workflow } from '../../orchestrator/index.ts';
import { startTestServer, type TestServer } from '../server/running-server.ts';
import { waitFor } from '../support/wait-for.ts';
import { axeViolations, startBrowser, type TestBrowser } from './browser.ts';
import { buildConsole } from './running-console.ts';

/** A picture of one point. */
const PNG =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==';
const EVIL = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 1</script>';

const definition = workflow('shows', {}, (w) => {
  w.task('show', {}, async ({ artifact }) => {
    await artifact.markdown('report', `# Report\n${EVIL}`, { title: `Report ${EVIL}` });
    await artifact.table('rows', [
      { city: EVIL, n: 1 },
      { city: 'Oslo', ok: true },
    ]);
    await artifact.link('docs', 'https://example.com/docs', 'The docs');
    await artifact.image('plot', Buffer.from(PNG, 'base64'), { title: 'Plot' });
    await artifact.image('drawing', Buffer.from(`<svg>${EVIL}</svg>`), { mime: 'image/svg+xml' });
    await artifact.progress('rows-read', 40);
  });
});

let test: TestServer;
let browser: TestBrowser;
let run: Run;
let stop: () => Promise<void>;

beforeAll(async () => {
  await buildConsole();
  [test, browser] = await Promise.all([startTestServer(), startBrowser()]);
  const { orchestrator } = test.server.parts;
  const agent = startAgent({
    transport: inProcessTransport(orchestrator.agents),
    definitions: definitionsOf([definition]),
    ...{ name: 'shows', queues: ['default'], concurrency: 1, log: () => undefined },
  });
  stop = () => agent.stop();
  await waitFor(() => agent.sessionId());
  const made = await orchestrator.runs.trigger('shows', {}, { name: 'token:test' });
  run = await waitFor(async () => {
    const found = await orchestrator.runs.get(made.run.id);
    return found.state === 'succeeded' ? found : undefined;
  });
}, 120_000);
afterAll(async () => {
  await browser[Symbol.asyncDispose]();
  await stop();
  await test[Symbol.asyncDispose]();
});

describe('the page of a run', () => {
  it('shows artifacts as text, tables, links and pictures, and runs nothing of them', async () => {
    const { page, errors } = await browser.open();
    const identity = { name: 'jane', role: 'viewer' } as const;
    const code = await test.server.parts.credentials.createLoginCode(identity);
    await page.goto(`${test.url}/login#code=${code}`);
    await page.getByText('live', { exact: true }).waitFor();
    await page.goto(`${test.url}/runs/${run.id}`);
    await page.getByRole('heading', { name: 'Artifacts' }).waitFor();
    await page.getByRole('heading', { name: 'Report', exact: true }).waitFor();
    await page.locator('.markdown').getByText(EVIL).waitFor();
    expect(await page.getByRole('cell').allTextContents()).toEqual(
      expect.arrayContaining([EVIL, '1', 'Oslo', 'true']),
    );
    expect(await page.getByRole('link', { name: 'The docs' }).getAttribute('href')).toBe(
      'https://example.com/docs',
    );
    const picture = page.getByRole('img', { name: 'Plot' });
    await picture.scrollIntoViewIfNeeded();
    await waitFor(() => picture.evaluate((img) => Reflect.get(img, 'naturalWidth') === 1));
    // A drawing may hold code: it is only downloaded.
    await page.getByRole('link', { name: /Download/ }).waitFor();
    expect(await page.getByRole('progressbar').getAttribute('value')).toBe('40');
    expect(await page.evaluate(() => Reflect.get(globalThis, 'hacked'))).toBeUndefined();
    expect(await axeViolations(page)).toBe('');
    expect(errors).toEqual([]);
  });
});
