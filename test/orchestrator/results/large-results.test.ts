/** Results that are too large for PostgreSQL, between real agents and a real store. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isResultReference, type ResultReference } from '../../../domain/result.ts';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import type { Definition } from '../../../orchestrator/define/definition.ts';
import { flow, workflow } from '../../../orchestrator/index.ts';
import { fileStore } from '../../../orchestrator/results/file-store.ts';
import { waitFor } from '../../support/wait-for.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';
import { trigger } from '../dispatch/stand.ts';

let folder: string;
let agents: AgentStand;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'results-'));
  agents = await startAgentStand({ leaseMs: 1_000, resultStore: fileStore(folder) });
});
afterAll(async () => {
  await agents[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

async function runOf(definition: Definition) {
  const agent = await agents.start([definition]);
  try {
    return await agents.run(definition.name);
  } finally {
    await agent.stop();
  }
}

const rows = (count: number) =>
  Array.from({ length: count }, (_, id) => ({ id, name: `row ${id} ü`, note: 'x'.repeat(80) }));
const pathOf = ({ key }: ResultReference) => join(folder, key);

async function referenceOf(runId: string, task: string): Promise<ResultReference> {
  const result = (await agents.results(runId))[task];
  if (!isResultReference(result)) throw new Error(`${task} has no reference`);
  return result;
}

describe('a large result', () => {
  it('of 5 MB passes from task to task; what is recorded is a reference with its size and a preview', async () => {
    const run = await runOf(
      workflow('spill', {}, (w) => {
        const make = w.task('make', {}, () => rows(45_000));
        w.task('read', { after: [make] }, async (ctx) => {
          const read = await ctx.result(make);
          return [
            read.length,
            read[44_999]?.name,
            createHash('md5').update(JSON.stringify(read)).digest('hex'),
          ];
        });
      }),
    );
    expect(run).toMatchObject({ state: 'succeeded' });
    const digest = createHash('md5')
      .update(JSON.stringify(rows(45_000)))
      .digest('hex');
    expect((await agents.results(run.id)).read).toEqual([45_000, 'row 44999 ü', digest]);
    const reference = await referenceOf(run.id, 'make');
    expect(reference).toMatchObject({ store: 'file', type: 'json', items: 45_000 });
    expect(reference.bytes).toBeGreaterThan(5_000_000);
    expect(reference.preview?.slice(0, 20)).toBe('[{"id":0,"name":"row');
    expect(JSON.stringify(reference).length).toBeLessThan(1_000);
    const content = await readFile(pathOf(reference));
    expect(createHash('sha256').update(content).digest('hex')).toBe(reference.sha256);
  });

  it('of bytes comes back as a Buffer, small or large', async () => {
    const large = randomBytes(600_000);
    const small = new Uint8Array([0, 255, 7]);
    const run = await runOf(
      workflow('spill-bytes', {}, (w) => {
        const a = w.task('a', {}, () => large);
        const b = w.task('b', {}, () => small);
        w.task('read', { after: [a, b] }, async (ctx) => {
          const [one, two] = await ctx.results([a, b]);
          return [Buffer.isBuffer(one), large.equals(one), Buffer.isBuffer(two), [...two]];
        });
      }),
    );
    expect((await agents.results(run.id)).read).toEqual([true, true, true, [0, 255, 7]]);
    expect(await referenceOf(run.id, 'a')).toMatchObject({ type: 'binary', bytes: 600_000 });
  });

  it('is a list that a task is mapped over, and what its items give', async () => {
    const run = await runOf(
      workflow('spill-map', {}, (w) => {
        const list = w.task('list', {}, () =>
          ['a', 'b', 'c'].map((letter) => letter.repeat(200_000)),
        );
        const each = w.map('each', { over: list }, (_ctx, item) => item + item);
        w.task('read', { after: [each] }, async (ctx) =>
          (await ctx.result(each)).map((one) => `${one[0]}${one.length}`),
        );
      }),
    );
    expect(run).toMatchObject({ state: 'succeeded' });
    expect((await agents.results(run.id)).read).toEqual(['a400000', 'b400000', 'c400000']);
    expect(await referenceOf(run.id, 'list')).toMatchObject({ items: 3 });
    expect(await referenceOf(run.id, 'each[1]')).toMatchObject({ type: 'json' });
  });

  it('of a step is read again in a replay of the flow, and of a subflow by whoever started it', async () => {
    let made = 0;
    const child = flow('spill-child', {}, () => 'c'.repeat(500_000));
    const parent = flow('spill-flow', { retries: 1, retryDelay: 0 }, async (ctx) => {
      const text = await ctx.step('make', () => {
        made += 1;
        return 'x'.repeat(700_000);
      });
      const bytes = await ctx.step('bytes', () => Buffer.alloc(400_000, 3));
      if (ctx.attempt === 1) throw new Error('again');
      const given = (await ctx.subflow(child)) as string;
      return [made, text.length, Buffer.isBuffer(bytes), bytes[399_999], given.length];
    });
    const agent = await agents.start([parent, child]);
    const run = await agents.run('spill-flow');
    await agent.stop();
    expect(run).toMatchObject({ state: 'succeeded' });
    const { result } = await agents.stand.orchestrator.agents.waitRun(
      ...([await sessionOf(), run.id, 0, AbortSignal.timeout(1_000)] as const),
    );
    expect(result).toEqual([1, 700_000, true, 3, 500_000]);
  });

  it('that was changed in the store is refused, with its key and what to do', async () => {
    const run = await runOf(
      workflow('spill-damaged', {}, (w) => {
        const make = w.task('make', {}, () => 'y'.repeat(400_000));
        const damage = w.task('damage', { after: [make] }, async (ctx) => {
          const { key } = await referenceOf(ctx.runId, 'make');
          await writeFile(join(folder, key), JSON.stringify('z'.repeat(400_000)));
        });
        w.task('read', { after: [make, damage] }, (ctx) => ctx.result(make));
      }),
    );
    expect(run.state).toBe('failed');
    const tasks = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(tasks.find(({ key }) => key === 'read')?.error).toMatchObject({
      name: 'ResultDamaged',
      message: expect.stringMatching(/is not what was stored.*run the task again/),
    });
  });

  it('with the name that Signalbox keeps for itself is refused', async () => {
    const run = await runOf(
      workflow('spill-forged', {}, (w) => {
        w.task('forge', { retries: 3, retryDelay: 0 }, () => ({
          $signalbox: 'result',
          key: 'a/b',
        }));
      }),
    );
    expect(run.error?.message ?? '').toMatch(/forge/);
    const [task] = await agents.stand.orchestrator.runs.tasks(run.id);
    expect(task).toMatchObject({ attempt: 1, error: { name: 'ResultError' } });
  });

  it('of an agent that dies between writing and telling is written anew by the next; a day later the first goes', async () => {
    const definition = workflow('spill-dies', {}, (w) => {
      w.task('make', { idempotent: true }, (ctx) => `${ctx.attempt}`.repeat(300_000));
    });
    const plain = inProcessTransport(agents.stand.orchestrator.agents);
    let written = '';
    const dying = await agents.start([definition], {
      transport: {
        ...plain,
        async putBlob(...args) {
          written = args[1].key;
          return plain.putBlob(...args);
        },
        // Dies with all that it would say.
        complete: () => new Promise(() => undefined),
        heartbeat: () => new Promise(() => undefined),
      },
    });
    const runId = await trigger(agents.stand.orchestrator, 'spill-dies');
    await waitFor(() => written, { what: 'content of the agent that dies' });
    await waitFor(async () => (await readFile(join(folder, written)).catch(() => null)) !== null);
    const other = await agents.start([definition]);
    const steps = agents.stand.orchestrator.reconcilers;
    const run = await waitFor(
      async () => {
        for (const { name, run: work } of steps) if (name === 'lease-reaper') await work();
        const found = await agents.stand.orchestrator.runs.get(runId);
        return found.state === 'succeeded' ? found : undefined;
      },
      { timeoutMs: 14_000, what: 'the second attempt' },
    );
    await Promise.all([other.stop(), dying.stop()]);
    const kept = await referenceOf(run.id, 'make');
    expect(kept.key).not.toBe(written);

    const sweep = steps.find(({ name }) => name === 'result-content');
    await sweep?.run();
    expect((await readdir(join(folder, run.id))).length).toBe(2);
    const past = new Date(Date.now() - 90_000_000);
    for (const name of await readdir(join(folder, run.id))) {
      await utimes(join(folder, run.id, name), past, past);
    }
    await sweep?.run();
    expect(await readdir(join(folder, run.id))).toEqual([kept.key.split('/')[1]]);
  });

  it('of a run that was deleted goes, unless a later run took it from the cache', async () => {
    const definition = workflow('spill-deleted', {}, (w) => {
      w.task('kept', { cache: { key: () => 'k' } }, () => 'k'.repeat(300_000));
      w.task('gone', {}, () => 'g'.repeat(300_000));
    });
    const [first, second] = [await runOf(definition), await runOf(definition)];
    const kept = await referenceOf(first.id, 'kept');
    expect(await referenceOf(second.id, 'kept')).toEqual(kept);
    const { sql, reconcile, orchestrator } = agents.stand;
    await orchestrator.results.forgetCached('spill-deleted');
    for (const table of ['task_log WHERE run_id', 'run WHERE id']) {
      await sql(`DELETE FROM signalbox.${table} = $1`, [first.id]);
    }
    const past = new Date(Date.now() - 90_000_000);
    for (const id of [first.id, second.id]) {
      for (const name of await readdir(join(folder, id))) {
        await utimes(join(folder, id, name), past, past);
      }
    }
    await reconcile('result-content');
    expect(await readdir(join(folder, first.id))).toEqual([kept.key.split('/')[1]]);
    expect((await readdir(join(folder, second.id))).length).toBe(1);
    for (const table of ['task_log WHERE run_id', 'run WHERE id']) {
      await sql(`DELETE FROM signalbox.${table} = $1`, [second.id]);
    }
    await reconcile('result-content');
    const left = await readdir(folder);
    expect(left.filter((id) => id === first.id || id === second.id)).toEqual([]);
  });
});

async function sessionOf(): Promise<string> {
  const { sessionId } = await agents.stand.orchestrator.agents.register({
    ...{ name: 'asks', queues: ['none'], concurrency: 1, version: '1' },
    ...{ definitions: [], fileErrors: [] },
  });
  return sessionId;
}
