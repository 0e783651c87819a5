/** Content in an S3-compatible store, whose peer verifies each signature. */
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { BlobRequest } from '../../../domain/result.ts';
import { inProcessTransport } from '../../../orchestrator/agent/in-process-transport.ts';
import { directTo } from '../../../orchestrator/agent/results/direct.ts';
import { workflow } from '../../../orchestrator/index.ts';
import type { BlobStore } from '../../../orchestrator/results/blob-store.ts';
import { openStore } from '../../../orchestrator/results/open-store.ts';
import { type AgentStand, startAgentStand } from '../agent/stand.ts';
import { KEYS, type S3Peer, startS3Peer } from './s3-peer.ts';

let peer: S3Peer;
let store: BlobStore;
let agents: AgentStand;
beforeAll(async () => {
  peer = await startS3Peer();
  const url = `s3://bucket/a/prefix?region=eu-test-1&endpoint=${peer.url}`;
  store = openStore(url, { ...KEYS, sessionToken: 'a session' });
  agents = await startAgentStand({ resultStore: store });
});
afterAll(async () => {
  await agents[Symbol.asyncDispose]();
  await peer.close();
});

const blobOf = (content: Buffer, name = 'x'): BlobRequest => ({
  key: `${randomUUID()}/${name}`,
  bytes: content.length,
  sha256: createHash('sha256').update(content).digest('hex'),
});

describe('an S3-compatible store', () => {
  it('takes, gives, lists and deletes, each call signed', async () => {
    const content = randomBytes(3_000_000);
    const blobs = ['a', 'b', 'c', 'd', 'e'].map((name) => blobOf(content, name));
    for (const blob of blobs) await store.put(blob, Readable.from([content]));
    expect(content.equals(await buffer(await store.get(blobs[0]?.key ?? '')))).toBe(true);
    const found: string[] = [];
    for (let next: string | null = ''; next !== null; ) {
      const page: Awaited<ReturnType<BlobStore['list']>> = await store.list(next);
      found.push(...page.blobs.map(({ key }) => key));
      next = page.next;
    }
    expect(found.sort()).toEqual(blobs.map(({ key }) => key).sort());
    for (const { key } of blobs) await store.delete(key);
    await store.delete(blobs[0]?.key ?? '');
    expect((await store.list('')).blobs).toEqual([]);
    expect(peer.refused).toEqual([]);
  });

  it('refuses content that changed on its way, a wrong secret, and what is not there', async () => {
    const content = Buffer.from('as it was');
    await expect(
      store.put(blobOf(content), Readable.from([Buffer.from('as it wax')])),
    ).rejects.toThrow(/XAmzContentSHA256Mismatch/);
    const wrong = openStore(`s3://bucket?region=eu-test-1&endpoint=${peer.url}`, {
      ...{ ...KEYS, secretAccessKey: 'another' },
      sessionToken: null,
    });
    await expect(wrong.put(blobOf(content), Readable.from([content]))).rejects.toThrow(
      /SignatureDoesNotMatch/,
    );
    await expect(store.get(blobOf(content).key)).rejects.toThrow(/was it taken away/);
    expect(peer.objects.size).toBe(0);
  });

  it.each(['through the server', 'by the agent itself'])('carries results: %s', async (way) => {
    const through = inProcessTransport({
      ...agents.stand.orchestrator.agents,
      ...(way === 'through the server' ? {} : { putBlob: nobody, getBlob: nobody }),
    });
    const definition = workflow(`s3-${way.replaceAll(' ', '-')}`, {}, (w) => {
      const make = w.task('make', {}, () => 'x'.repeat(400_000));
      w.task('read', { after: [make] }, async (ctx) => (await ctx.result(make)).length);
    });
    const transport = way === 'through the server' ? through : directTo(store, through);
    peer.failures = 2;
    const agent = await agents.start([definition], { transport });
    const run = await agents.run(definition.name);
    await agent.stop();
    expect(run.error).toBeNull();
    expect(await agents.results(run.id)).toMatchObject({
      ...{ make: { store: 's3://bucket/a/prefix', bytes: 400_002 }, read: 400_000 },
    });
    expect(
      [...peer.objects.keys()].some((key) => key.startsWith(`bucket/a/prefix/${run.id}/`)),
    ).toBe(true);
  });

  it('is not opened without credentials, or by a URL that is none', () => {
    const none = { accessKeyId: null, secretAccessKey: null, sessionToken: null };
    expect(() => openStore('s3://bucket', none)).toThrow(/AWS_ACCESS_KEY_ID/);
    expect(() => openStore('http://bucket', none)).toThrow(/file:\/\/\/folder/);
    expect(openStore('file:///tmp/results', none).name).toBe('file');
  });
});

async function nobody(): Promise<never> {
  throw new Error('the server is not to be asked');
}
