import { expect, it } from 'vitest';
import type { Assignment } from '../../../domain/agent-protocol.ts';
import { systemClock } from '../../../domain/time.ts';
import { Aborted } from '../../../orchestrator/agent/failure.ts';
import { RunningTask } from '../../../orchestrator/agent/running-task.ts';
import { workflow } from '../../../orchestrator/index.ts';

const ASSIGNMENT: Assignment = {
  ...{ runId: 'r', workflow: 'late', version: '1', taskKey: 'one', kind: 'task', attempt: 1 },
  ...{ token: '1', parameters: {}, logicalDate: null, dataInterval: null, timeoutMs: null },
  traceparent: null,
};

it('never starts the code of a task that was cancelled while its file was imported', () => {
  const started: string[] = [];
  const ends: unknown[] = [];
  const task = new RunningTask(ASSIGNMENT, {
    clock: systemClock,
    agentName: 'test',
    tracer: () => null,
    invoke: (one) => started.push(one.assignment.taskKey),
    ended: (_, end) => ends.push(end?.completion.state),
  });
  task.abort(new Aborted('cancelled', 'no more need'));
  task.run(workflow('late', {}, (w) => void w.task('one', {}, async () => undefined)));
  expect(started).toEqual([]);
  expect(ends).toEqual(['cancelled']);
});
