import { promisify } from 'node:util';
import zlib from 'node:zlib';
import { compressFrame, decompressFrame } from 'lz4-napi';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readBlocks, writeBlocks } from '../../../collector/embedded/block-framing.ts';
import { cityHash128 } from '../../../collector/embedded/city-hash.ts';
import { startTestClickHouse, type TestClickHouse } from '../../support/clickhouse.ts';
import { ask, must } from './ask.ts';

let clickhouse: TestClickHouse;

beforeAll(async () => {
  clickhouse = await startTestClickHouse();
  await must(clickhouse, 'CREATE DATABASE otel');
  await must(clickhouse, 'CREATE TABLE otel.t (a UInt64, s String) ENGINE = MergeTree ORDER BY a');
});

afterAll(() => clickhouse.stop());

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

async function joined(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}

const CHECKSUMS: readonly (readonly [length: number, hex: string])[] = [
  [0, '2b9ac064fc9df03d291ee592c340b53c'],
  [1, 'd01ae0afa13971d2f66cc8e4e28e7efd'],
  [3, 'fe48775795f10f907e0db2556317a913'],
  [4, '94ac1ddfe73813d2ecec5783d0f3f0cc'],
  [7, '1c5ff2ef1452b75d0b491c5915448fc4'],
  [8, 'b4af68d27442a34b3406f18709a90efb'],
  [9, '87561b14fb13c5b5930815bc3dd455fa'],
  [15, '99e2dc10a89b08ee54fe85c6e9878307'],
  [16, '8c0c52092e2dbec048f5f920d689093f'],
  [17, '8da487ab27aaaf0340a76f55eb87bf25'],
  [24, 'a20c0b856e18a77a655d5fe739c6caf8'],
  [31, '3df3c70405657729349b8e8ab5ed1bff'],
  [32, '59de856c121cc4f0c45c2a0de7849e72'],
  [33, '16ef90d171a632a912379b13d28c53d4'],
  [63, '4eaba498172116b11eff53ac2e6794f1'],
  [64, '7d6027cb2f79706e1ff4566321faded0'],
  [100, '4d84eaa85854e98784f1a04981225001'],
  [127, 'ef4b483f8b7f09681baed4b931c202e1'],
  [128, '1dc81f492fb77e88ef3f44b98a6e3def'],
  [143, '4315cf7c7728ee3361561fe056cb9f98'],
  [144, 'f2affd1fee3d00d35909943108558c62'],
  [145, '4d8a7c151138f5407b2ae809cfd9330d'],
  [160, '06ed9cada62b47c4b51a240c7c472038'],
  [200, 'f0beda1a454916071295be81b9b517fa'],
  [255, 'bed6f798f8d1586ec944f2647e3df90d'],
  [256, '486550e2d8f6a83ba46783a85050b35f'],
  [271, 'd84d90435b17d863b2df3780e26f3d9e'],
  [300, 'b0a6962c991f120c9f404f413612ddae'],
  [1000, '242c10e05f4100e0b892cfc90bffd975'],
  [4096, 'dce58bba5519e957a9b39072f9947811'],
  [10007, '16f4f3e1304be8ac020a4f62480a8e70'],
];

/** Text that packs a little: more than one block in every framing. */
const LARGE = `SELECT number, cityHash64(number) FROM numbers(120000)`;

describe('HTTP content codings', () => {
  const unpack: Readonly<Record<string, (bytes: Buffer) => Promise<Buffer>>> = {
    gzip: promisify<Buffer, Buffer>(zlib.gunzip),
    deflate: promisify<Buffer, Buffer>(zlib.inflate),
    br: promisify<Buffer, Buffer>(zlib.brotliDecompress),
    zstd: promisify<Buffer, Buffer>(zlib.zstdDecompress),
    lz4: decompressFrame,
  };
  const pack: Readonly<Record<string, (bytes: Buffer) => Promise<Buffer>>> = {
    gzip: promisify<Buffer, Buffer>(zlib.gzip),
    deflate: promisify<Buffer, Buffer>(zlib.deflate),
    br: promisify<Buffer, Buffer>(zlib.brotliCompress),
    zstd: promisify<Buffer, Buffer>(zlib.zstdCompress),
    lz4: (bytes) => compressFrame(bytes),
  };

  it.each(Object.keys(unpack))('replies in %s to whoever accepts it', async (coding) => {
    const plain = await must(clickhouse, LARGE);
    const packed = await ask(clickhouse, LARGE, { headers: { 'accept-encoding': coding } });
    expect(packed.headers['content-encoding']).toBe(coding);
    expect(packed.bytes.byteLength).toBeLessThan(plain.length);
    expect((await unpack[coding]?.(packed.bytes))?.toString()).toBe(plain);
    const empty = await ask(clickhouse, 'SELECT 1 WHERE 0', {
      headers: { 'accept-encoding': coding },
    });
    expect((await unpack[coding]?.(empty.bytes))?.toString()).toBe('');
  });

  it.each(Object.keys(pack))('takes rows in %s', async (coding) => {
    const rows = Array.from({ length: 50_000 }, (_, a) => JSON.stringify({ a, s: coding })).join(
      '\n',
    );
    const body = (await pack[coding]?.(Buffer.from(rows))) ?? Buffer.alloc(0);
    await must(clickhouse, body, {
      query: { query: 'INSERT INTO otel.t FORMAT JSONEachRow' },
      headers: { 'content-encoding': coding },
    });
    expect(
      await must(clickhouse, `SELECT count(), uniq(a) > 40000 FROM otel.t WHERE s = '${coding}'`),
    ).toBe('50000\t1\n');
  });

  it('takes a statement in gzip', async () => {
    const body = zlib.gzipSync('SELECT 1 + 1');
    expect(await must(clickhouse, body, { headers: { 'content-encoding': 'gzip' } })).toBe('2\n');
  });

  it('prefers as ClickHouse does, and packs nothing that is not asked for', async () => {
    const coding = async (accept: string, query = {}) =>
      (await ask(clickhouse, 'SELECT 1', { headers: { 'accept-encoding': accept }, query }))
        .headers['content-encoding'];
    expect(await coding('lz4,zstd,gzip,deflate')).toBe('gzip');
    expect(await coding('lz4, zstd')).toBe('zstd');
    expect(await coding('gzip;q=0, zstd')).toBe('zstd');
    expect(await coding('identity')).toBeUndefined();
    expect(await coding('snappy')).toBeUndefined();
    expect(await coding('gzip', { enable_http_compression: 0 })).toBeUndefined();
  });

  it('sends errors unpacked', async () => {
    const answer = await ask(clickhouse, 'SELECT nope', { headers: { 'accept-encoding': 'gzip' } });
    expect(answer.headers['content-encoding']).toBeUndefined();
    expect(answer.text).toMatch(/^Code: 47\./);
  });

  it('refuses a body that is damaged, cut off, or in an unknown coding', async () => {
    const rows = await promisify<Buffer, Buffer>(zlib.gzip)(
      Buffer.from('{"a":1,"s":"broken"}\n'.repeat(1_000)),
    );
    for (const coding of ['gzip', 'zstd', 'lz4', 'br', 'deflate']) {
      const good =
        (await pack[coding]?.(Buffer.from('{"a":1,"s":"broken"}\n'.repeat(1_000)))) ?? rows;
      for (const body of [
        Buffer.from('this is not packed at all'),
        good.subarray(0, good.byteLength - 3),
      ]) {
        const answer = await ask(clickhouse, body, {
          query: { query: 'INSERT INTO otel.t FORMAT JSONEachRow' },
          headers: { 'content-encoding': coding },
        });
        expect([coding, answer.headers['x-clickhouse-exception-code']]).toEqual([coding, '271']);
      }
    }
    const unknown = await ask(clickhouse, rows, { headers: { 'content-encoding': 'snappy' } });
    expect(unknown.headers['x-clickhouse-exception-code']).toBe('89');
    expect(await must(clickhouse, "SELECT count() FROM otel.t WHERE s = 'broken'")).toBe('0\n');
  });
});

describe('ClickHouse’s own blocks', () => {
  it('have the checksum that ClickHouse computes', () => {
    const hash = (text: string) => cityHash128(Buffer.from(text)).toString('hex');
    // Made with github.com/go-faster/city, CH128: the hash that ClickHouse's clients in Go use.
    for (const [length, expected] of CHECKSUMS) {
      const text = Array.from({ length }, (_, at) => String.fromCharCode(97 + (at % 26))).join('');
      expect([length, hash(text)]).toEqual([length, expected]);
    }
  });

  it.each(['lz4', 'zstd'] as const)(
    'come back as they were in %s, however they are cut',
    async (method) => {
      const raw = Buffer.from(Array.from({ length: 400_000 }, (_, at) => `${at * 7919}`).join(' '));
      const packed = await joined(writeBlocks(raw, method));
      expect(packed.byteLength).toBeLessThan(raw.byteLength);
      for (const size of [1_000, 65_536, packed.byteLength]) {
        expect((await joined(readBlocks(inPieces(packed, size)))).equals(raw)).toBe(true);
      }
      const tiny = await joined(writeBlocks(Buffer.from('x'), method));
      expect((await joined(readBlocks(inPieces(tiny, 1)))).toString()).toBe('x');
    },
  );

  it.each([
    ['lz4', {}],
    ['zstd', { network_compression_method: 'zstd' }],
  ] as const)('carry replies with compress=1 in %s', async (_method, extra) => {
    const plain = await must(clickhouse, LARGE);
    const packed = await ask(clickhouse, LARGE, { query: { compress: 1, ...extra } });
    expect(packed.headers['content-encoding']).toBeUndefined();
    expect(packed.bytes[16]).toBe(_method === 'lz4' ? 0x82 : 0x90);
    expect((await joined(readBlocks(inPieces(packed.bytes, 10_000)))).toString()).toBe(plain);
  });

  it.each(['lz4', 'zstd'] as const)('carry rows with decompress=1 in %s', async (method) => {
    const rows = Array.from({ length: 100_000 }, (_, a) => `${a}\tblocks-${method}`).join('\n');
    const body = await joined(writeBlocks(Buffer.from(rows), method));
    await must(clickhouse, body, {
      query: { query: 'INSERT INTO otel.t FORMAT TSV', decompress: 1 },
    });
    expect(await must(clickhouse, `SELECT count() FROM otel.t WHERE s = 'blocks-${method}'`)).toBe(
      '100000\n',
    );
  });

  it('are refused with a wrong checksum, an unknown method, a monstrous size, or cut off', async () => {
    const good = await joined(writeBlocks(Buffer.from('1\tnever\n'.repeat(1_000)), 'lz4'));
    const changed = (at: number, value: number) => {
      const copy = Buffer.from(good);
      copy[at] = value;
      return copy;
    };
    const rehashed = (block: Buffer) => {
      cityHash128(block.subarray(16)).copy(block);
      return block;
    };
    const huge = Buffer.from(good);
    huge.writeUInt32LE(0xffffffff, 21);
    const cases: [Buffer, string][] = [
      [changed(30, 0xff), '40'],
      [changed(0, (good[0] ?? 0) ^ 1), '40'],
      [rehashed(changed(16, 0x42)), '89'],
      [rehashed(huge), '271'],
      [good.subarray(0, good.byteLength - 1), '271'],
      [good.subarray(0, 20), '271'],
      [Buffer.from('1\tnot in blocks\n'.repeat(10)), '271'],
    ];
    for (const [body, code] of cases) {
      const answer = await ask(clickhouse, body, {
        query: { query: 'INSERT INTO otel.t FORMAT TSV', decompress: 1 },
      });
      expect(answer.headers['x-clickhouse-exception-code']).toBe(code);
    }
    expect(await must(clickhouse, "SELECT count() FROM otel.t WHERE s = 'never'")).toBe('0\n');
  });
});
