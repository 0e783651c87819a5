/** What IO managers are called with, without an agent around them. */
import {
  type IoManager,
  kindOf,
  type Row,
  type StagedRange,
  type StagedVersion,
} from '../../../orchestrator/define/io.ts';

const log = { debug() {}, info() {}, warn() {}, error() {} };

export interface WriteOptions {
  readonly assetKey?: string;
  readonly versionId?: string;
  readonly attempt?: number;
  readonly partitionKey?: string;
  readonly signal?: AbortSignal;
}

let versions = 0;

export async function stage(
  io: IoManager,
  value: unknown,
  options: WriteOptions = {},
): Promise<StagedVersion> {
  if (!('stage' in io)) throw new Error(`${kindOf(io)} has no stage`);
  versions += 1;
  const versionId = options.versionId ?? `0199-${String(versions).padStart(6, '0')}`;
  return io.stage(
    {
      assetKey: options.assetKey ?? 'shop/orders',
      partitionKey: options.partitionKey,
      ...{ versionId, runId: versionId, attempt: options.attempt ?? 1, log },
      signal: options.signal ?? new AbortController().signal,
    },
    value,
  );
}

export async function stageRange(
  io: IoManager,
  partitionKeys: readonly string[],
  options: WriteOptions = {},
): Promise<StagedRange> {
  if (!('stage' in io) || !io.stageRange) throw new Error(`${kindOf(io)} has no stageRange`);
  versions += 1;
  const versionId = options.versionId ?? `0199-${String(versions).padStart(6, '0')}`;
  return io.stageRange({
    ...{ assetKey: options.assetKey ?? 'shop/orders', partitionKeys, versionId, runId: versionId },
    ...{ attempt: options.attempt ?? 1, log },
    signal: options.signal ?? new AbortController().signal,
  });
}

/** Stages, publishes, and gives what `read` needs. */
export async function write(io: IoManager, value: unknown, options: WriteOptions = {}) {
  const staged = await stage(io, value, options);
  await staged.publish();
  return staged.written;
}

export async function read(
  io: IoManager,
  written: StagedVersion['written'],
  options: WriteOptions & { stream?: boolean } = {},
): Promise<unknown> {
  const value: unknown = await io.read({
    assetKey: options.assetKey ?? 'shop/orders',
    partitionKey: options.partitionKey,
    location: written.location ?? {},
    schema: written.schema ?? null,
    stream: options.stream ?? false,
    signal: new AbortController().signal,
  });
  if (options.stream !== true) return value;
  const rows: Row[] = [];
  for await (const row of value as AsyncIterable<Row>) rows.push(row);
  return rows;
}

export async function* streamOf(rows: number, from = 0): AsyncGenerator<Row> {
  for (let id = from; id < from + rows; id += 1) yield { id, name: `name ${id}`, price: id / 4 };
}
