import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import regionalSales from '../../examples/regional-sales.ts';
import { type AgentStand, startAgentStand } from '../orchestrator/agent/stand.ts';

const ACTOR = { name: 'token:test' };
let agents: AgentStand;
beforeAll(async () => {
  agents = await startAgentStand();
  await agents.start([regionalSales]);
});
afterAll(() => agents[Symbol.asyncDispose]());

async function runOn(logicalDate: string) {
  const { runs } = agents.stand.orchestrator;
  const { run } = await runs.trigger('regional-sales', { logicalDate }, ACTOR);
  const ended = await agents.ended(run.id);
  const tasks = await runs.tasks(run.id);
  return { ended, tasks: new Map(tasks.map((task) => [task.key, task])) };
}

describe('the example of regional sales', () => {
  it('loads each region in a task of its own and tidies up, with a report for the day', async () => {
    const { ended, tasks } = await runOn('2026-03-10T00:00:00Z');
    expect(ended.state).toBe('succeeded');
    expect(tasks.get('load.sales[0]')).toMatchObject({ state: 'succeeded', attempt: 2 });
    expect(tasks.get('load.sales[3]')).toMatchObject({ state: 'succeeded', attempt: 1 });
    expect(tasks.get('daily-report')?.result).toEqual({ total: expect.any(Number) });
    expect(tasks.get('close-month')).toMatchObject({
      state: 'skipped',
      reason: 'kind-of-day went another way',
    });
    expect(tasks.get('announce')?.state).toBe('succeeded');
    expect(tasks.get('drop-schema')?.state).toBe('succeeded');
  });

  it('closes the month on its last day', async () => {
    const { tasks } = await runOn('2026-03-31T00:00:00Z');
    expect(tasks.get('close-month')?.result).toEqual({ closed: true });
    expect(tasks.get('daily-report')?.state).toBe('skipped');
  });
});
