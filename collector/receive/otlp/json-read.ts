/**
 * Reads OTLP's JSON form field by field: ids in hexadecimal, 64-bit integers as strings or numbers, enumerations
 * as numbers or names, unknown fields ignored. A field of a wrong type is an error that names its path.
 */
import type { AnyValue, Attributes } from './model.ts';
import { valueText } from './value-text.ts';

/** The JSON is not in OTLP's form. */
export class MalformedJsonError extends Error {
  readonly path: string;

  constructor(path: string, expected: string) {
    super(`${path || '/'} must be ${expected}`);
    this.name = 'MalformedJsonError';
    this.path = path;
  }
}

const MAX_DEPTH = 64;
/** Sixteen digits in a row outside of a string are perhaps more than a double can hold. */
const LONG_NUMBER = /[:[,]\s*-?\d{16}/;

/** Parses the text; integers too long for a double stay exact, as text. */
export function parseJson(text: string): unknown {
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  try {
    return parseExactly(text);
  } catch (error) {
    // The walk over the values is recursive, unlike the parser.
    if (error instanceof RangeError) throw new MalformedJsonError('', 'nested less deep');
    throw error;
  }
}

function parseExactly(text: string): unknown {
  return JSON.parse(text, (_key, value, context?: { source?: string }) => {
    const source = context?.source;
    const exact = typeof value !== 'number' || Number.isSafeInteger(value) || !source;
    return exact || !/^-?\d+$/.test(source) ? value : source;
  });
}

/** An object of the request with the path by which errors name it. */
export class JsonNode {
  private readonly fields: Readonly<Record<string, unknown>>;
  readonly path: string;

  constructor(value: unknown, path: string) {
    if (value === null || typeof value !== 'object' || Array.isArray(value)) {
      throw new MalformedJsonError(path, 'an object');
    }
    this.fields = value as Readonly<Record<string, unknown>>;
    this.path = path;
  }

  /** A field's value; undefined where it is absent or null. */
  raw(name: string): unknown {
    return this.fields[name] ?? undefined;
  }

  has(name: string): boolean {
    return this.raw(name) !== undefined;
  }

  node(name: string): JsonNode | undefined {
    const value = this.raw(name);
    return value === undefined ? undefined : new JsonNode(value, `${this.path}/${name}`);
  }

  nodes(name: string): JsonNode[] {
    return this.list(name).map(
      (item, index) => new JsonNode(item, `${this.path}/${name}/${index}`),
    );
  }

  list(name: string): readonly unknown[] {
    const value = this.raw(name) ?? [];
    if (!Array.isArray(value)) throw this.wrong(name, 'an array');
    return value;
  }

  string(name: string): string {
    const value = this.raw(name) ?? '';
    if (typeof value !== 'string') throw this.wrong(name, 'a string');
    return value.toWellFormed();
  }

  bool(name: string): boolean {
    const value = this.raw(name) ?? false;
    if (typeof value !== 'boolean') throw this.wrong(name, 'true or false');
    return value;
  }

  /** An id in hexadecimal, in lower case. */
  id(name: string): string {
    const text = this.string(name);
    if (!/^(?:[0-9a-fA-F]{2})*$/.test(text)) throw this.wrong(name, 'hexadecimal');
    return text.toLowerCase();
  }

  number(name: string): number {
    return toNumber(this.raw(name) ?? 0) ?? this.fail(name, 'a number');
  }

  numbers(name: string): number[] {
    return this.list(name).map((item) => toNumber(item) ?? this.fail(name, 'a list of numbers'));
  }

  uint64(name: string): bigint {
    return toUint64(this.raw(name) ?? 0) ?? this.fail(name, 'an unsigned 64-bit integer');
  }

  uint64s(name: string): bigint[] {
    return this.list(name).map((item) => toUint64(item) ?? this.fail(name, 'a list of integers'));
  }

  /** An enumeration by number, or by one of its names in order from 0. */
  enumeration(name: string, names: readonly string[]): number {
    const value = this.raw(name) ?? 0;
    const index = typeof value === 'string' ? names.indexOf(value) : value;
    if (typeof index === 'number' && Number.isInteger(index) && index >= 0) return index;
    throw this.wrong(name, `a number or one of ${names.join(', ')}`);
  }

  attributes(name = 'attributes'): Attributes {
    const pairs: string[] = [];
    for (const entry of this.nodes(name)) {
      pairs.push(entry.string('key'), valueText(entry.value('value')));
    }
    return pairs;
  }

  /** An AnyValue; null where it is absent or empty. */
  value(name: string): AnyValue {
    return this.raw(name) === undefined
      ? null
      : readValue(this.raw(name), `${this.path}/${name}`, 0);
  }

  private wrong(name: string, expected: string): MalformedJsonError {
    return new MalformedJsonError(`${this.path}/${name}`, expected);
  }

  private fail(name: string, expected: string): never {
    throw this.wrong(name, expected);
  }
}

function readValue(raw: unknown, path: string, depth: number): AnyValue {
  if (depth > MAX_DEPTH) throw new MalformedJsonError(path, 'nested less deep');
  const node = new JsonNode(raw, path);
  if (node.has('stringValue')) return node.string('stringValue');
  if (node.has('boolValue')) return node.bool('boolValue');
  if (node.has('intValue')) return readInt(node.raw('intValue'), path);
  if (node.has('doubleValue')) return node.number('doubleValue');
  if (node.has('bytesValue')) return Buffer.from(node.string('bytesValue'), 'base64');
  const list = node.node('arrayValue');
  if (list) {
    return list.list('values').map((item, index) => readValue(item, `${path}/${index}`, depth + 1));
  }
  const map = node.node('kvlistValue');
  if (!map) return null;
  return new Map(
    map.nodes('values').map((entry) => {
      const value = entry.raw('value');
      const read = value === undefined ? null : readValue(value, `${entry.path}/value`, depth + 1);
      return [entry.string('key'), read] as const;
    }),
  );
}

function readInt(raw: unknown, path: string): number | bigint {
  const isInt =
    (typeof raw === 'number' && Number.isInteger(raw)) ||
    (typeof raw === 'string' && /^-?\d{1,19}$/.test(raw));
  if (!isInt) throw new MalformedJsonError(`${path}/intValue`, 'a 64-bit integer');
  const number = Number(raw);
  return Number.isSafeInteger(number) ? number : BigInt(raw);
}

function toNumber(raw: unknown): number | undefined {
  if (typeof raw === 'number') return raw;
  if (typeof raw !== 'string') return undefined;
  if (raw === 'NaN' || raw === 'Infinity' || raw === '-Infinity') return Number(raw);
  return /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(raw) ? Number(raw) : undefined;
}

const MAX_UINT64 = 18_446_744_073_709_551_615n;

function toUint64(raw: unknown): bigint | undefined {
  if (typeof raw === 'number') {
    return Number.isInteger(raw) && raw >= 0 && raw < 2 ** 64 ? BigInt(raw) : undefined;
  }
  if (typeof raw !== 'string' || !/^\d{1,20}$/.test(raw)) return undefined;
  const value = BigInt(raw);
  return value <= MAX_UINT64 ? value : undefined;
}
