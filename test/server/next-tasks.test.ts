import { expect, it } from 'vitest';
import type { Assignment, CompleteRequest } from '../../domain/agent-protocol.ts';
import { inShort } from '../../server/next-tasks.ts';

const run: Assignment = {
  ...{ runId: 'one', workflow: 'orders', version: 'v1', taskKey: 'second', kind: 'task' },
  ...{ attempt: 1, token: '2', parameters: {}, logicalDate: null, dataInterval: null },
  ...{ timeoutMs: 9, traceparent: null },
};

const done: CompleteRequest = {
  completions: ['other', 'one'].map((runId) => ({
    ...{ runId, taskKey: 'first', token: '1', state: 'succeeded', startedAt: 1, finishedAt: 2 },
  })),
  take: 5,
  compact: true,
};

it('tells a plain task of a completed run by the place of the completion', () => {
  const answer = inShort(done, { outcomes: [], assignments: [run] });
  expect(answer).toEqual({ outcomes: [], assignments: [], next: [[1, 'second', 1, '2', 9]] });
});

it('tells an agent that does not ask for it everything in full', () => {
  const { compact: _, ...old } = done;
  const reply = { outcomes: [], assignments: [run] };
  expect(inShort(old, reply)).toBe(reply);
});

it('tells in full what has more than its run says: items, partitions, isolated attempts, flows, other runs', () => {
  const assignments: Assignment[] = [
    { ...run, item: { task: 'each', over: 'list', index: 0, stamp: 1 } },
    { ...run, partition: { keys: ['a'] } as unknown as NonNullable<Assignment['partition']> },
    { ...run, isolated: true },
    { ...run, kind: 'flow' },
    { ...run, runId: 'two' },
  ];
  expect(inShort(done, { outcomes: [], assignments })).toMatchObject({ assignments, next: [] });
});
