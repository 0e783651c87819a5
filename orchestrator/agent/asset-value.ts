/** Reads a version's value from wherever it is kept. */
import type { AssetValue } from '../../domain/agent-protocol.ts';
import { STORED_NOWHERE, type StoredVersion } from '../../domain/asset.ts';
import type { Definition } from '../define/definition.ts';
import { kindOf } from '../define/io.ts';
import { ioIn } from '../define/io-environment.ts';
import type { VersionCalls } from './asset-version.ts';
import { type ResolveCalls, resolveResult } from './results/resolve.ts';

/** A value that is kept where this agent cannot read it. */
class UnreadableValue extends Error {
  override readonly name = 'UnreadableValue';
}

/**
 * The value of a version of an asset.
 * @throws UnreadableValue where it was written by an IO manager that this agent does not have
 */
export async function loadValue(
  calls: Pick<VersionCalls, 'definition'> & ResolveCalls,
  assetKey: string,
  version: Pick<AssetValue, 'value' | 'stored' | 'partition' | 'environment' | 'fallbackOf'>,
  signal: AbortSignal,
): Promise<unknown> {
  const { stored = null, fallbackOf } = version;
  // What stands in for a partition lies where its own is.
  const partition = fallbackOf ? fallbackOf.partition : version.partition;
  if (stored === null) return resolveResult(calls, version.value);
  const definition = await calls.definition(assetKey);
  const io = ioIn(definition?.io ?? null, version.environment, assetKey);
  if (io === null || kindOf(io) !== stored.kind) {
    const what = io === null ? 'has no IO manager for it here' : `is ${kindOf(io)} here`;
    throw new UnreadableValue(
      `the value of ${assetKey} is kept by ${stored.kind}, and the asset ${what}: let this agent read the same code, or materialize ${assetKey} again`,
    );
  }
  return read(io, assetKey, stored, partition ?? undefined, signal);
}

/** What is made elsewhere, and read from there: undefined where nobody says how. */
export async function loadObserved(definition: Definition, signal: AbortSignal): Promise<unknown> {
  const io = definition.io ?? null;
  return io === null ? undefined : read(io, definition.name, STORED_NOWHERE, undefined, signal);
}

async function read(
  io: NonNullable<Definition['io']>,
  assetKey: string,
  { location, schema, stream }: StoredVersion,
  partitionKey: string | undefined,
  signal: AbortSignal,
): Promise<unknown> {
  const context = { assetKey, partitionKey, location, schema, stream, signal };
  const value: unknown = await io.read(context);
  if (!stream) return value;
  // Whoever goes through it again reads it again.
  return {
    async *[Symbol.asyncIterator]() {
      yield* (await io.read(context)) as AsyncIterable<unknown>;
    },
  };
}
