/** A partitioned asset whose agent dies in the middle. */
import { expect, test } from 'vitest';
import { isTerminalRun } from '../../../domain/run.ts';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import { asset, daily } from '../../../orchestrator/index.ts';
import { waitFor } from '../../support/wait-for.ts';
import { startAgentStand } from '../agent/stand.ts';
import { ACTOR } from '../catalog/stand.ts';

const DAY_MS = 86_400_000;
const today = Math.floor(Date.now() / DAY_MS) * DAY_MS;
/** So many whole days before today. */
const ago = (days: number) => new Date(today - days * DAY_MS).toISOString().slice(0, 10);
const start = ago(10);

test('a partition goes on where its agent died: another server, another agent, the same partition', async () => {
  const own = await startAgentStand({ leaseMs: 600 });
  try {
    const seen: string[] = [];
    let hang = true;
    const slow = asset('q/slow', { partitions: daily({ start }) }, async (ctx) => {
      seen.push(`${ctx.partitionKey} ${ctx.attempt}`);
      // Of an agent that dies nothing is heard any more.
      if (hang) await new Promise(() => {});
      return ctx.partitionKey;
    });
    const first = await own.stand.another();
    const transport = inProcessTransport(first.agents);
    let dead = false;
    await own.start([slow], {
      name: 'dies',
      transport: {
        ...transport,
        heartbeat: (...args) => (dead ? new Promise(() => {}) : transport.heartbeat(...args)),
        stop: async () => {},
      },
    });
    const request = { partitions: [ago(4)] };
    const { runs } = await first.assets.materializePartitions('q/slow', request, ACTOR);
    await waitFor(() => seen.length === 1);
    dead = true;
    hang = false;
    await own.start([slow], { name: 'lives' });
    const reaper = own.stand.orchestrator.reconcilers;
    const run = await waitFor(async () => {
      for (const step of reaper) if (/reap|lease|take-back/.test(step.name)) await step.run();
      const now = await own.stand.orchestrator.runs.get(runs[0]?.id ?? '');
      return isTerminalRun(now.state) ? now : undefined;
    });
    expect(run.state).toBe('succeeded');
    expect(seen.map((one) => one.split(' ')[0])).toEqual([ago(4), ago(4)]);
    const { items } = await own.stand.orchestrator.assets.materializations('q/slow', {});
    expect(items.map(({ partition }) => partition)).toEqual([ago(4)]);
  } finally {
    await own[Symbol.asyncDispose]();
  }
});
