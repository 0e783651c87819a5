import { afterAll, beforeAll, expect, it } from 'vitest';
import type { WorkflowDefinition } from '../../../domain/agent-protocol.ts';
import { chain, type Stand, startStand, workflow } from '../dispatch/stand.ts';

let stand: Stand;
beforeAll(async () => {
  stand = await startStand({ leaseMs: 120_000 });
});
afterAll(() => stand[Symbol.asyncDispose]());

/** An agent whose name is the host's, as it is unless told. */
function register(
  faults: Readonly<Record<string, string>>,
  definitions: readonly WorkflowDefinition[],
  session?: string,
) {
  return stand.orchestrator.agents.register({
    ...{ name: 'host', queues: ['default'], concurrency: 1, version: '1', definitions },
    fileErrors: Object.entries(faults).map(([file, message]) => ({ file, message })),
    ...(session === undefined ? {} : { session }),
  });
}

async function told(): Promise<readonly string[]> {
  const all = await stand.orchestrator.workflows.fileErrors();
  return all.map(({ file, message }) => `${file}: ${message}`).sort();
}

it('agents of one name each tell the faults of their own files, and take back only these', async () => {
  const { orchestrator } = stand;
  const actor = { name: 'token:test' };
  const left = workflow('left', chain(1), { file: 'one/left.ts' });
  const one = await register({ 'wf/a.ts': 'broken here' }, [left]);
  await orchestrator.runs.trigger('left', {}, actor);
  const other = await register({ 'wf/a.ts': 'broken otherwise', 'wf/b.ts': 'broken too' }, []);
  // What only the first one defines is no fault of the second one's.
  expect(await told()).toEqual([
    'wf/a.ts: broken here',
    'wf/a.ts: broken otherwise',
    'wf/b.ts: broken too',
  ]);
  const another = await stand.another();
  expect(await another.workflows.faultyFiles()).toBe(2);
  await register({ 'wf/b.ts': 'broken too' }, [], other.sessionId);
  expect(await told()).toEqual(['wf/a.ts: broken here', 'wf/b.ts: broken too']);
  await orchestrator.agents.stop(other.sessionId);
  expect(await told()).toEqual(['wf/a.ts: broken here']);
  expect(await another.workflows.faultyFiles()).toBe(1);
  await register({}, [left], one.sessionId);
  expect(await told()).toEqual([]);
  // Once nobody has it any more, it is told.
  await register({}, [], one.sessionId);
  expect(await told()).toEqual([
    expect.stringMatching(/^one\/left\.ts: left is no longer defined; 1 of its runs/),
  ]);
});

it('what an agent tells for a session that has ended changes nothing', async () => {
  const { sessionId } = await register({ 'wf/late.ts': 'broken' }, []);
  await stand.orchestrator.agents.stop(sessionId);
  for (const session of [sessionId, 'no-session']) {
    await expect(register({ 'wf/late.ts': 'broken' }, [], session)).rejects.toMatchObject({
      code: 'lease-lost',
    });
  }
  expect(await told()).not.toContain('wf/late.ts: broken');
});
