/** The example of a ledger, in a real PostgreSQL of the user's. */
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcessTransport } from '../../orchestrator/agent/in-process-transport.ts';
import { type RunningAgent, startAgent } from '../../orchestrator/agent/start.ts';
import { loadWorkflows } from '../../orchestrator/define/load.ts';
import { registryOf } from '../../orchestrator/define/registry.ts';
import { type AgentStand, startAgentStand } from '../orchestrator/agent/stand.ts';
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts';
import { waitFor } from '../support/wait-for.ts';

const FILE = fileURLToPath(new URL('../../examples/ledger.ts', import.meta.url));
const ACTOR = { name: 'token:test' };

let database: TestPostgres;
let agents: AgentStand;
let agent: RunningAgent;

beforeAll(async () => {
  database = await startTestPostgres();
  process.env['EXAMPLE_DATABASE_URL'] = database.url;
  agents = await startAgentStand();
  const loaded = await loadWorkflows([FILE]);
  expect(loaded.errors).toEqual([]);
  agent = startAgent({
    ...{ name: 'examples', queues: ['default'], concurrency: 4 },
    transport: inProcessTransport(agents.stand.orchestrator.agents),
    definitions: registryOf(loaded),
    log: (message) => agents.told.push(message),
  });
  await waitFor(() => agent.sessionId());
});

afterAll(async () => {
  delete process.env['EXAMPLE_DATABASE_URL'];
  await agent.stop();
  await agents[Symbol.asyncDispose]();
  await database.stop();
});

async function ofDay(day: string) {
  const { assets } = agents.stand.orchestrator;
  const request = { partitions: [day] };
  const { runs } = await assets.materializePartitions('example/invoices', request, ACTOR);
  return agents.ended(runs[0]?.id ?? '');
}

describe('the example of a ledger', () => {
  it('loads each day into its part of the table, and books each invoice once however often the day is run', async () => {
    for (const day of ['2026-01-02', '2026-01-03', '2026-01-02']) {
      const run = await ofDay(day);
      expect([run.state, run.error]).toEqual(['succeeded', null]);
      expect((await agents.results(run.id))['book']).toEqual({ booked: 5 });
    }
    const client = new pg.Client({ connectionString: database.url });
    await client.connect();
    const { rows: days } = await client.query(
      'SELECT day, count(*)::int AS invoices FROM invoices GROUP BY day ORDER BY day',
    );
    const { rows: ledger } = await client.query(
      'SELECT count(*)::int AS rows, count(DISTINCT invoice)::int AS invoices FROM ledger',
    );
    await client.end();
    expect(days).toEqual([
      { day: '2026-01-02', invoices: 5 },
      { day: '2026-01-03', invoices: 5 },
    ]);
    expect(ledger).toEqual([{ rows: 10, invoices: 10 }]);
  });
});
