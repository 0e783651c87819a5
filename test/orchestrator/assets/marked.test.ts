/** What marking an asset's task as succeeded by hand means for the asset. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { asset, externalAsset, jsonFile, staticPartitions, workflow } from 'signalbox';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { makeTempDir, type TempDir } from '../../support/temp-dir.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';

const ACTOR = { name: 'ada' };
let stand: AgentStand;
let folder: TempDir;
let fails = false;
let made = 0;

beforeAll(async () => {
  folder = await makeTempDir('marked');
  stand = await startAgentStand();
  const make = () => {
    if (fails) throw new Error('no source');
    made += 1;
    return { made };
  };
  const plain = asset('mark/plain', {}, make);
  const below = asset('mark/below', { dependsOn: { plain } }, (_ctx, inputs) => inputs.plain);
  const filed = asset('mark/filed', { io: jsonFile({ directory: folder.path }) }, make);
  const regions = asset('mark/regions', { partitions: staticPartitions(['eu', 'us']) }, (ctx) => ({
    ...make(),
    region: ctx.partitionKey,
  }));
  const loaded = externalAsset('mark/loaded');
  const load = workflow('load', {}, (w) => {
    w.task('only', { produces: [loaded] }, make);
  });
  await stand.start([plain, below, filed, regions, loaded, load]);
});
afterAll(async () => {
  await stand[Symbol.asyncDispose]();
  await folder.remove();
});
beforeEach(() => {
  fails = false;
});

const assets = () => stand.stand.orchestrator.assets;
const control = () => stand.stand.orchestrator.runControl;

async function make(key: string) {
  const { id } = await assets().materialize([key], {}, ACTOR);
  return stand.ended(id);
}

async function failed(key: string) {
  fails = true;
  const run = await make(key);
  fails = false;
  expect(run.state).toBe('failed');
  return run.id;
}

const mark = (id: string, more = {}) =>
  control().mark(id, { as: 'succeeded', reason: 'loaded by hand', ...more }, ACTOR);

describe('an asset’s task that is marked as succeeded', () => {
  it('records a version by that person, and shows before that it will', async () => {
    await make('mark/plain');
    const before = (await assets().get('mark/plain')).lastMaterialization;
    const id = await failed('mark/plain');
    const request = { tasks: ['mark/plain'], dryRun: true };
    const shown = await mark(id, request);
    expect(shown.runs).toMatchObject([
      { versions: [{ asset: 'mark/plain', partitions: null, count: 1 }] },
    ]);
    expect(shown.downstream.assets.map(({ key }) => key)).toContain('mark/below');
    expect((await assets().get('mark/plain')).lastMaterialization).toEqual(before);
    await mark(id, { tasks: ['mark/plain'] });
    const found = await assets().get('mark/plain');
    expect(found).toMatchObject({
      freshness: 'fresh',
      lastMaterialization: {
        ...{ provenance: 'marked', runId: id },
        metadata: { markedBy: 'ada', markedReason: 'loaded by hand' },
      },
    });
  });

  it('gives those below the value that it had, or the result that goes with the mark', async () => {
    await make('mark/plain');
    const last = made;
    await mark(await failed('mark/plain'));
    const first = await make('mark/below');
    expect((await stand.results(first.id))['mark/below']).toEqual({ made: last });
    await mark(await failed('mark/plain'), { tasks: ['mark/plain'], result: { made: 'by hand' } });
    expect((await assets().get('mark/below')).staleCauses).toMatchObject([
      { reason: 'upstream-changed', upstream: 'mark/plain' },
    ]);
    const second = await make('mark/below');
    expect((await stand.results(second.id))['mark/below']).toEqual({ made: 'by hand' });
  });

  it('of an IO manager stands for what lies there, and takes no result in its place', async () => {
    await make('mark/filed');
    const { lastMaterialization } = await assets().get('mark/filed');
    await writeFile(String(lastMaterialization?.stored?.location['path']), '{"made":"mended"}');
    const id = await failed('mark/filed');
    await expect(mark(id, { tasks: ['mark/filed'], result: 1 })).rejects.toThrow(
      'are kept by json-file',
    );
    expect((await assets().get('mark/filed')).lastMaterialization?.id).toBe(
      lastMaterialization?.id,
    );
    await mark(id);
    expect((await assets().get('mark/filed')).lastMaterialization).toMatchObject({
      ...{ provenance: 'marked', stored: lastMaterialization?.stored },
    });
    const files = join(folder.path, 'mark', 'filed');
    expect(String(lastMaterialization?.stored?.location['path'])).toContain(files);
  });

  it('is of the partitions of the run', async () => {
    fails = true;
    const request = { partitions: ['eu'] };
    const { runs } = await assets().materializePartitions('mark/regions', request, ACTOR);
    const run = await stand.ended(runs[0]?.id ?? '');
    const shown = await mark(run.id, { dryRun: true });
    expect(shown.runs[0]?.versions).toEqual([
      { asset: 'mark/regions', partitions: ['eu'], count: 1 },
    ]);
    await mark(run.id);
    const { items } = await assets().partitions('mark/regions', { order: 'oldest' });
    expect(items.map(({ key, state, runId }) => [key, state, runId])).toEqual([
      ['eu', 'fresh', run.id],
      ['us', 'missing', null],
    ]);
  });

  it('counts for what a task of a workflow produces as well', async () => {
    fails = true;
    const run = await stand.run('load');
    const effect = await mark(run.id, { tasks: ['only'], result: { made: 'elsewhere' } });
    expect(effect.runs[0]?.versions).toMatchObject([{ asset: 'mark/loaded' }]);
    expect((await assets().get('mark/loaded')).lastMaterialization).toMatchObject({
      ...{ provenance: 'marked', runId: run.id, metadata: { markedBy: 'ada' } },
    });
  });
});
