/** Which slots an agent offers with each call, while others are under way. */
import { workflow } from 'signalbox';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import type { Transport } from '../../../orchestrator/agent/transport.ts';
import { waitFor } from '../../support/wait-for.ts';
import { trigger } from '../dispatch/stand.ts';
import { type AgentStand, startAgentStand } from './stand.ts';

/** First tasks that run, by run, with what lets each end. */
const running = new Map<string, () => void>();

const pair = workflow('pair', {}, (w) => {
  const first = w.task('first', {}, async (ctx) => {
    await new Promise<void>((resolve) => running.set(ctx.runId, resolve));
  });
  w.task('second', { after: [first] }, () => null);
});

let agents: AgentStand;

beforeAll(async () => {
  agents = await startAgentStand();
});

afterAll(async () => {
  await agents[Symbol.asyncDispose]();
});

interface Told {
  readonly ended: number;
  readonly take: number;
  /** Lets the call go on to the server. */
  pass(): void;
}

function holding(transport: Transport): { transport: Transport; told: Told[] } {
  const told: Told[] = [];
  return {
    told,
    transport: {
      ...transport,
      async complete(sessionId, ended, take) {
        const passed = Promise.withResolvers<void>();
        told.push({ ended: ended.length, take, pass: passed.resolve });
        await passed.promise;
        return transport.complete(sessionId, ended, take);
      },
    },
  };
}

it('offers the slots of what has ended with each of several calls under way, and no slot twice', async () => {
  const { orchestrator } = agents.stand;
  const { transport, told } = holding(inProcessTransport(orchestrator.agents, () => undefined));
  const agent = await agents.start([pair], { transport, concurrency: 3 });
  const runs: string[] = [];
  for (let index = 0; index < 3; index += 1) runs.push(await trigger(orchestrator, 'pair'));
  await waitFor(() => running.size === 3, { what: 'three first tasks' });
  for (const [index, end] of [...running.values()].entries()) {
    end();
    await waitFor(() => told.length === index + 1, { what: 'a call' });
  }
  expect(told.map(({ ended, take }) => ({ ended, take }))).toEqual([
    { ended: 1, take: 1 },
    { ended: 1, take: 1 },
    { ended: 1, take: 1 },
  ]);
  for (const { pass } of told) pass();
  const sum = () => told.reduce((ends, { ended }) => ends + ended, 0);
  await waitFor(() => sum() === 6, { what: 'the ends of the second tasks' });
  for (const { pass } of told) pass();
  for (const run of runs) expect((await agents.ended(run)).state).toBe('succeeded');
  await agent.stop();
});
