/** Tasks that an answer tells in short: of runs of which the agent has just completed a task. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Assignment, CompleteReply, CompleteRequest } from '../../../domain/agent-protocol.ts';
import { httpTransport } from '../../../orchestrator/agent/http-transport.ts';
import type { EndedAttempt, Transport } from '../../../orchestrator/agent/transport.ts';

const run: Assignment = {
  runId: '01890000-0000-7000-8000-000000000001',
  workflow: 'orders',
  version: 'v1',
  taskKey: 'first',
  kind: 'task',
  attempt: 1,
  token: '1',
  parameters: { day: 'monday' },
  logicalDate: '2026-01-01T00:00:00.000Z',
  dataInterval: null,
  timeoutMs: 1_000,
  traceparent: null,
  trigger: { kind: 'sensor', sensor: 'files' } as unknown as NonNullable<Assignment['trigger']>,
};

describe('answers to completions', () => {
  let reply: CompleteReply;
  let asked: CompleteRequest | undefined;
  let transport: Transport;
  const server = createServer((request, response) => {
    let text = '';
    request.on('data', (chunk) => {
      text += chunk;
    });
    request.on('end', () => {
      asked = JSON.parse(text) as CompleteRequest;
      response.setHeader('content-type', 'application/json').end(JSON.stringify(reply));
    });
  });

  beforeEach(async () => {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    transport = httpTransport({ url: `http://127.0.0.1:${port}`, token: 'secret' });
  });

  afterEach(async () => {
    await transport.close();
    server.close();
  });

  function endOf(assignment: Assignment): EndedAttempt {
    const { runId, taskKey, token } = assignment;
    const times = { startedAt: 1, finishedAt: 2 };
    const completion = { runId, taskKey, token, state: 'succeeded', ...times } as const;
    return { assignment, completion, json: JSON.stringify(completion) };
  }

  it('tell a next task in short, and it is what a whole assignment would be', async () => {
    reply = { outcomes: [], assignments: [], next: [[0, 'second', 1, '2', null]] };
    const { assignments } = await transport.complete('s', [endOf(run)], 1);
    expect(asked).toMatchObject({ compact: true });
    expect(assignments).toEqual([{ ...run, taskKey: 'second', token: '2', timeoutMs: null }]);
  });

  it('hand on nothing of what was the ended task’s alone: its item, its partition, its isolation', async () => {
    const item = { task: 'each', over: 'list', index: 3, stamp: 1 };
    const mapped: Assignment = { ...run, taskKey: 'each[3]', item, isolated: true };
    reply = { outcomes: [], assignments: [], next: [[0, 'join', 2, '7', 5]] };
    const { assignments } = await transport.complete('s', [endOf(mapped)], 1);
    expect(assignments).toEqual([
      { ...run, taskKey: 'join', attempt: 2, token: '7', timeoutMs: 5 },
    ]);
  });

  it('still bring whole assignments, in the same answer', async () => {
    const other: Assignment = { ...run, runId: '01890000-0000-7000-8000-000000000002', token: '9' };
    reply = { outcomes: [], assignments: [other], next: [[0, 'second', 1, '2', 1_000]] };
    const { assignments } = await transport.complete('s', [endOf(run)], 2);
    expect(assignments.map(({ token }) => token).sort()).toEqual(['2', '9']);
  });
});
