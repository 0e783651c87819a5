import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { manualClock } from '../../domain/time.ts';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { startAgent } from '../../orchestrator/agent/start.ts';
import { loadWorkflows } from '../../orchestrator/define/load.ts';
import { registryOf } from '../../orchestrator/define/registry.ts';
import { startStand } from '../orchestrator/dispatch/stand.ts';
import { waitFor } from '../support/wait-for.ts';

const FILE = fileURLToPath(new URL('../../examples/closing-balance.ts', import.meta.url));
const DAY_MS = 86_400_000;

it('after a stop over the night on which clocks change, each day is closed once and in order', async () => {
  const clock = manualClock(Date.parse('2026-03-27T12:00:00Z'));
  await using stand = await startStand({ clock, leaseMs: 365 * DAY_MS });
  const { agents, runs } = stand.orchestrator;
  const loaded = await loadWorkflows([FILE]);
  expect(loaded.errors).toEqual([]);
  const agent = startAgent({
    ...{ name: 'example', queues: ['default'], concurrency: 4, log: () => {} },
    transport: inProcessTransport(agents),
    definitions: registryOf(loaded),
  });
  await waitFor(() => agent.sessionId());
  clock.advance(4 * DAY_MS);
  await stand.reconcile('scheduler');
  const ended = await waitFor(
    async () => {
      await stand.reconcile('run-promoter');
      const { items } = await runs.list({ workflow: 'closing-balance' });
      const all = items.length === 4 && items.every(({ state }) => state === 'succeeded');
      return all && items.toReversed();
    },
    { timeoutMs: 20_000 },
  );
  await agent.stop();
  expect(ended.map(({ dataInterval }) => dataInterval?.end)).toEqual([
    '2026-03-28T01:30:00.000Z',
    '2026-03-29T01:30:00.000Z',
    '2026-03-30T00:30:00.000Z',
    '2026-03-31T00:30:00.000Z',
  ]);
  const times = ended.map(({ startedAt }) => Date.parse(startedAt ?? ''));
  expect(times).toEqual([...times].sort((a, b) => a - b));
});
