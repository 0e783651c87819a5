import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { manualClock } from '../../domain/time.ts';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { startAgent } from '../../orchestrator/agent/start.ts';
import { loadWorkflows } from '../../orchestrator/define/load.ts';
import { registryOf } from '../../orchestrator/define/registry.ts';
import { startStand } from '../orchestrator/dispatch/stand.ts';
import { waitFor } from '../support/wait-for.ts';

const FILE = fileURLToPath(new URL('../../examples/morning-report.ts', import.meta.url));
const HOUR_MS = 3_600_000;

it('a report that is not there at six is told of, once, though nobody had looked at its schedule', async () => {
  const clock = manualClock(Date.parse('2026-03-28T12:00:00Z'));
  await using stand = await startStand({ clock, leaseMs: 240 * HOUR_MS });
  const { agents, runs, deadlines } = stand.orchestrator;
  const loaded = await loadWorkflows([FILE]);
  expect(loaded.errors).toEqual([]);
  const lines: string[] = [];
  const agent = startAgent({
    ...{ name: 'example', queues: ['default'], concurrency: 4, log: () => {} },
    transport: inProcessTransport(agents, (request) =>
      lines.push(...request.lines.map(({ message }) => message)),
    ),
    definitions: registryOf(loaded),
  });
  await waitFor(() => agent.sessionId());
  // Six o'clock in Berlin, on the morning after which clocks are an hour ahead.
  clock.advance(Date.parse('2026-03-29T04:00:00Z') - clock.now());
  const called = () => runs.list({ workflow: 'morning-report:callbacks' });
  await waitFor(
    async () => {
      await stand.reconcile('deadlines');
      await stand.reconcile('callbacks');
      const { items } = await called();
      return items.length > 0 && items.every(({ state }) => state === 'succeeded');
    },
    { timeoutMs: 20_000 },
  );
  const line = await waitFor(() => lines.find((text) => text.startsWith('morning-report: ')));
  expect(line).toContain('had to end by 2026-03-29T04:00:00.000Z');
  expect((await called()).items).toHaveLength(1);
  const { items } = await deadlines.list({});
  expect(items.map(({ name, taskKey }) => [name, taskKey])).toEqual(
    expect.arrayContaining([
      ['deadline', null],
      ['sla', 'load'],
    ]),
  );
  await agent.stop();
});
