/**
 * What an asset is made from: upstreams, and which partitions of theirs. An upstream that says nothing gives the
 * partition that the definitions suggest: the same key, the time that overlaps, or all of them.
 */
import { createHash } from 'node:crypto';
import type { PartitionMapping, PartitionsDefinition } from '../../domain/partition.ts';
import { timePartOf } from '../assets/partitions/partition-set.ts';
import { readKey } from './asset-key.ts';
import { isDefinition } from './definition.ts';
import { DefinitionError } from './options.ts';
import { readMapping } from './partitions.ts';

const DEP = Symbol.for('signalbox.dep');

/** An upstream with which of its partitions are needed. */
export interface Dep {
  readonly [DEP]: true;
  readonly key: string;
  readonly mapping: PartitionMapping;
  readonly partitions: PartitionsDefinition | null | undefined;
}

/**
 * An upstream of which other partitions are needed than those of the same key or time:
 * `dependsOn: { yesterday: dep(orders, timeWindow({ offset: -1 })) }`. An asset may name its own key so, for the
 * partition before.
 */
export function dep(asset: { readonly key: string } | string, mapping: PartitionMapping): Dep {
  const key = readKey(typeof asset === 'string' ? asset : asset?.key);
  return { [DEP]: true, key, mapping: readMapping(mapping), partitions: partitionsOf(asset) };
}

/** Undefined where only its key is known. */
function partitionsOf(value: unknown): PartitionsDefinition | null | undefined {
  return isDefinition(value) ? (value.described.asset?.partitions ?? null) : undefined;
}

function isDep(value: unknown): value is Dep {
  return typeof value === 'object' && value !== null && DEP in value;
}

/** An upstream as it was read: its name in the code, where it has one. */
interface Input {
  readonly key: string;
  readonly name: string | null;
  readonly mapping?: PartitionMapping;
  readonly partitions?: PartitionsDefinition | null | undefined;
}

/** Reads the option `dependsOn`. */
export function readUpstreams(value: unknown): readonly Input[] {
  if (value === undefined) return [];
  if (typeof value !== 'object' || value === null) {
    throw new DefinitionError('must be a list of assets, or an object of assets by name');
  }
  const named: [string | null, unknown][] = Array.isArray(value)
    ? value.map((one): [null, unknown] => [null, one])
    : Object.entries(value);
  const inputs = named.map(([name, one]): Input => {
    if (isDep(one)) {
      const { key, mapping, partitions } = one;
      return { key, name, mapping, partitions };
    }
    if (isDefinition(one) && one.described.asset !== null) return { key: one.name, name };
    if (typeof one === 'string') return { key: readKey(one), name };
    throw new DefinitionError('must hold assets, or their keys');
  });
  return inputs.filter((input, index) => {
    const first = inputs.findIndex((one) => one.key === input.key);
    if (first !== index && (input.mapping || inputs[first]?.mapping)) {
      throw new DefinitionError(
        `${input.key} is in it twice: one window that covers both, such as timeWindow({ startOffset: -1, endOffset: 0 }), gives them by key`,
      );
    }
    return first === index;
  });
}

/** Mappings by upstream. @throws DefinitionError for an asset that depends on itself, but on what came before */
export function readInputMappings(
  key: string,
  inputs: readonly Input[],
  partitions: PartitionsDefinition | null,
): Readonly<Record<string, PartitionMapping>> {
  const own = inputs.find((input) => input.key === key);
  if (own) {
    const { mapping } = own;
    if (mapping?.kind !== 'time' || mapping.endOffset >= 0 || partitions === null) {
      throw new DefinitionError(
        'it depends on itself; a partitioned asset may on partitions before: dep(key, timeWindow({ offset: -1 }))',
      );
    }
  }
  for (const input of inputs) if (input.mapping) checkMapping(input, input.mapping, partitions);
  return Object.fromEntries(
    inputs.flatMap((input) => (input.mapping ? [[input.key, input.mapping]] : [])),
  );
}

/** @throws DefinitionError for a mapping that can lead nowhere, as far as both sides are known */
function checkMapping(
  { key, partitions: upstream }: Input,
  mapping: PartitionMapping,
  own: PartitionsDefinition | null,
): void {
  if (upstream === undefined) return;
  const both = [upstream, own].flatMap((side) => side ?? []);
  if (mapping.kind === 'dimension') {
    const names = both.flatMap((side) =>
      side.kind === 'multi' ? side.dimensions.map(({ name }) => name) : [],
    );
    if (names.includes(mapping.dimension)) return;
    throw new DefinitionError(
      `${key}: neither side has a dimension ${JSON.stringify(mapping.dimension)}; there are ${names.join(', ') || 'none'}`,
    );
  }
  if (mapping.kind === 'time' && both.some((side) => timePartOf(side) === null)) {
    throw new DefinitionError(`${key}: timeWindow(…) is between partitions of time`);
  }
}

/** A short hash of a function's text. */
export function codeVersionOf(handler: { toString(): string }): string {
  return createHash('sha256').update(handler.toString()).digest('hex').slice(0, 12);
}

/** Keys of assets, out of assets or their keys. */
export function readAssetKeys(value: unknown): readonly string[] {
  const list: readonly unknown[] =
    value === undefined ? [] : Array.isArray(value) ? value : [value];
  const keys = list.map((one) =>
    isDefinition(one) && one.described.asset !== null ? one.name : readKey(one),
  );
  return [...new Set(keys)];
}
