/**
 * Attribute values as the text that the Collector's ClickHouse exporter stores: scalars plainly, bytes in base64,
 * lists and maps as JSON in Go's form (keys sorted, `<`, `>` and `&` escaped).
 */
import type { AnyValue, Attributes } from './model.ts';

/** The text of a value; '' for none. */
export function valueText(value: AnyValue): string {
  if (typeof value === 'string') return value;
  if (value === null) return '';
  if (typeof value === 'number') return numberText(value);
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return base64(value);
  return valueJson(value);
}

function valueJson(value: AnyValue): string {
  if (typeof value === 'string') return goString(value);
  if (value === null) return 'null';
  if (typeof value === 'number') return Number.isFinite(value) ? numberText(value) : 'null';
  if (typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (value instanceof Uint8Array) return `"${base64(value)}"`;
  if (isMap(value)) {
    const entries = [...value].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    return `{${entries.map(([key, item]) => `${goString(key)}:${valueJson(item)}`).join(',')}}`;
  }
  return `[${value.map(valueJson).join(',')}]`;
}

function isMap(value: object): value is ReadonlyMap<string, AnyValue> {
  return value instanceof Map;
}

function numberText(value: number): string {
  if (Object.is(value, -0)) return '-0';
  if (Number.isNaN(value)) return 'json: unsupported value: NaN';
  if (value === Number.POSITIVE_INFINITY) return 'json: unsupported value: +Inf';
  if (value === Number.NEGATIVE_INFINITY) return 'json: unsupported value: -Inf';
  return String(value);
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

const GO_ESCAPES: Readonly<Record<string, string>> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

function goString(text: string): string {
  return JSON.stringify(text).replace(/[<>&\u2028\u2029]/g, (char) => GO_ESCAPES[char] ?? char);
}

/** A JSON object of the attributes, keys in order, the last one where a key comes twice: as the exporter writes. */
export function attributesJson(attributes: Attributes): string {
  const pairs = sortedPairs(attributes);
  let json = '{';
  for (let index = 0; index < pairs.length; index += 2) {
    if (index > 0) json += ',';
    json += `${JSON.stringify(pairs[index])}:${JSON.stringify(pairs[index + 1])}`;
  }
  return `${json}}`;
}

/** Keys in order, each once. */
export function sortedPairs(attributes: Attributes): Attributes {
  return inOrder(attributes) ? attributes : sorted(attributes);
}

function inOrder(attributes: Attributes): boolean {
  for (let index = 2; index < attributes.length; index += 2) {
    if ((attributes[index - 2] ?? '') >= (attributes[index] ?? '')) return false;
  }
  return true;
}

function sorted(attributes: Attributes): Attributes {
  const byKey = new Map<string, string>();
  for (let index = 0; index < attributes.length; index += 2) {
    byKey.set(attributes[index] ?? '', attributes[index + 1] ?? '');
  }
  return [...byKey].sort(([a], [b]) => (a < b ? -1 : 1)).flat();
}

/** The value of a key; '' where it is absent. */
export function attribute(attributes: Attributes, key: string): string {
  for (let index = 0; index < attributes.length; index += 2) {
    if (attributes[index] === key) return attributes[index + 1] ?? '';
  }
  return '';
}
