/** Server-sent events where it takes time to tell of which environment a run is. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLive, type Live } from '../../server/live.ts';
import { waitFor } from '../support/wait-for.ts';
import { listenTo } from './event-text.ts';

const BRANCH: ReadonlyMap<string, string> = new Map([
  ['first', 'feature'],
  ['second', 'feature'],
]);
let live: Live;
let server: Server;
/** Questions that nobody has answered yet. */
let asked: { readonly runs: readonly string[]; answer(): void; fail(): void }[];

beforeEach(async () => {
  asked = [];
  live = createLive(
    (runs) =>
      new Promise((resolve, reject) => {
        asked.push({ runs, answer: () => resolve(BRANCH), fail: () => reject(new Error('away')) });
      }),
  );
  server = createServer((request, response) => {
    live.attach(response, { environment: request.url === '/' ? undefined : 'feature' });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
});

afterEach(async () => {
  live.close();
  server.closeAllConnections();
  await new Promise((closed) => server.close(closed));
});

function listen(path: string) {
  const { port } = server.address() as AddressInfo;
  return listenTo(`http://127.0.0.1:${port}${path}`);
}

const question = (run: string) =>
  waitFor(() => asked.find(({ runs }) => runs.includes(run)), { what: `the question of ${run}` });

describe('a run of a branch', () => {
  it('that changes while it is asked where others are is told to the branch, and not to production', async () => {
    await using production = await listen('/');
    await using branch = await listen('/feature');
    live.publish({ topic: 'run', id: 'first' });
    const before = await question('first');
    live.publish({ topic: 'run', id: 'second' });
    before.answer();
    (await question('second')).answer();
    await waitFor(() => branch.text().includes('second'), { what: 'the second run' });
    expect(branch.text()).toContain('first');
    live.publish({ topic: 'incident', id: 'i-1' });
    await waitFor(() => production.text().includes('i-1'), { what: 'the incident' });
    expect(production.text()).not.toMatch(/first|second/);
  });

  it('holds up nothing where it cannot be told where it is: all are told of it', async () => {
    await using production = await listen('/');
    live.publish({ topic: 'run', id: 'first' });
    live.publish({ topic: 'incident', id: 'i-2' });
    await waitFor(() => production.text().includes('i-2'), { what: 'the incident' });
    expect(production.text()).toContain('first');
    live.publish({ topic: 'run', id: 'third' });
    (await question('third')).fail();
    await waitFor(() => production.text().includes('third'), { what: 'the third run' });
  });
});
