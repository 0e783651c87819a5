import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isTerminalRun } from '../../../domain/run.ts';
import type { Orchestrator } from '../../../orchestrator/service.ts';
import { startProcess, type TestProcess } from '../../support/child-process.ts';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type HttpDoor, openHttpDoor, TOKEN } from '../agent/http-door.ts';
import { type Stand, startStand, trigger } from './stand.ts';

const BIN = new URL('../../../bin/signalbox.js', import.meta.url).pathname;
const ACTOR = { name: 'token:test' };
const RUNS = 200;

let stand: Stand;
let second: Orchestrator;
let doors: readonly HttpDoor[];
let root: TempDir;
const started: TestProcess[] = [];

/** A file with one workflow of two tasks. */
function fileOf(name: string): string {
  return `
    import { workflow } from 'signalbox';
    export const it = workflow('${name}', {}, (w) => {
      const one = w.task('one', {}, () => 1);
      w.task('two', { after: [one] }, () => 2);
    });`;
}

/** `signalbox agent`, as a user starts it, for one of two servers, with files of its own and the default queue. */
async function startAgent(name: string, server: number, files: readonly string[]) {
  const dir = await makeTempDir(`own-${name}`);
  for (const file of files) await writeFile(join(dir.path, `${file}.ts`), fileOf(file));
  const url = doors[server]?.url ?? '';
  const agent = startProcess(
    process.execPath,
    [BIN, 'agent', '--url', url, '--name', name, '--workflows', dir.path, '--watch'],
    { env: { SIGNALBOX_TOKEN: TOKEN, OTEL_SDK_DISABLED: 'true' } },
  );
  started.push(agent);
  await waitFor(() => agent.stderr().includes('registered as session'), {
    what: `the registration of ${name}`,
    timeoutMs: 20_000,
  });
  return { dir, agent };
}

async function statesOf(runIds: readonly string[]): Promise<ReadonlySet<string>> {
  const states = new Set<string>();
  for (const id of runIds) states.add((await stand.orchestrator.runs.get(id)).state);
  return states;
}

async function ended(runIds: readonly string[]): Promise<readonly string[]> {
  const states = await waitFor(
    async () => {
      const now = [...(await statesOf(runIds))];
      return now.every((state) => isTerminalRun(state as 'succeeded')) ? now : undefined;
    },
    { what: 'the ends of the runs', timeoutMs: 20_000 },
  );
  return states;
}

async function waitOf(runId: string, key = 'one') {
  return waitFor(
    async () =>
      (await stand.orchestrator.runs.tasks(runId)).find((task) => task.key === key)?.waitsFor,
    { what: 'a reason', timeoutMs: 10_000 },
  );
}

beforeAll(async () => {
  stand = await startStand();
  second = await stand.another();
  doors = [await openHttpDoor(stand.orchestrator.agents), await openHttpDoor(second.agents)];
  root = await makeTempDir('own');
});

afterAll(async () => {
  await Promise.all(started.map((agent) => agent.stop()));
  for (const door of doors) await door.close();
  await root.remove();
  await stand[Symbol.asyncDispose]();
});

describe('two agents of one queue with different files', () => {
  it('are given their own runs, on one server and on two: none fails, none is tried twice', async () => {
    await Promise.all([
      startAgent('first', 0, ['alpha', 'beta']),
      startAgent('second', 0, ['gamma']),
      startAgent('third', 1, ['delta']),
    ]);
    const batches = ['alpha', 'gamma', 'delta'].map((name, index) =>
      (index === 1 ? second : stand.orchestrator).runs.triggerBatch(
        ...([name, Array.from({ length: RUNS }, () => ({})), ACTOR] as const),
      ),
    );
    await Promise.all(batches);
    const rows = async () =>
      stand.sql<{ state: string; count: number }>(
        'SELECT state, count(*)::int AS count FROM signalbox.run GROUP BY state',
      );
    await waitFor(async () => (await rows()).every(({ state }) => state !== 'active'), {
      what: 'the ends of all runs',
      timeoutMs: 20_000,
    });
    expect(await rows()).toEqual([{ state: 'succeeded', count: 3 * RUNS }]);
    const [log] = await stand.sql<{ count: number }>(
      'SELECT count(*)::int AS count FROM signalbox.task_log',
    );
    expect(log?.count).toBe(3 * RUNS * 2);
  }, 40_000);

  it('leave what none of them has ready, with the reason, until an agent comes that has it', async () => {
    const { agent } = await startAgent('fourth', 1, ['later']);
    await agent.stop();
    const runId = await trigger(stand.orchestrator, 'later');
    expect(await waitOf(runId)).toMatchObject({
      reason: 'no-definition',
      message:
        'no agent of the queue default defines later: start one with its file, or cancel the run',
    });
    expect((await stand.orchestrator.runs.get(runId)).state).toBe('queued');
    await startAgent('fifth', 1, ['later']);
    expect(await ended([runId])).toEqual(['succeeded']);
  }, 40_000);

  it('are given what they have from the moment at which a file comes, and no more once it goes', async () => {
    const { dir } = await startAgent('watching', 1, ['kept', 'moving']);
    expect(await ended([await trigger(stand.orchestrator, 'moving')])).toEqual(['succeeded']);
    await rm(join(dir.path, 'moving.ts'));
    await waitFor(
      async () => {
        const [row] = await stand.sql<{ has: boolean }>(
          `SELECT 'moving' = ANY(d.names) AS has FROM signalbox.agent_session s
           JOIN signalbox.definition_set d ON d.id = s.definitions
           WHERE s.name = 'watching' AND s.state = 'live'`,
        );
        return row?.has === false;
      },
      { what: 'the file to be gone', timeoutMs: 10_000 },
    );
    const runId = await trigger(stand.orchestrator, 'moving');
    expect(await waitOf(runId)).toMatchObject({ reason: 'no-definition', name: 'moving' });
    // It goes on with what it has, in the session that it had.
    expect(await ended([await trigger(stand.orchestrator, 'kept')])).toEqual(['succeeded']);
    await writeFile(join(dir.path, 'moving.ts'), fileOf('moving'));
    expect(await ended([runId])).toEqual(['succeeded']);
    const sessions = await stand.sql(`SELECT FROM signalbox.agent_session WHERE name = 'watching'`);
    expect(sessions.length).toBe(1);
  }, 40_000);
});
