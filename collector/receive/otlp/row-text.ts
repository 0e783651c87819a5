/**
 * Rows as JSONEachRow text. What is shared by many rows (resource, scope) is turned into text once. A row that
 * cannot be kept (a time that no table can hold, an id of a wrong length) is refused and counted; the others
 * stay: that is OTLP's partial success.
 */

import type { Batch } from '../../clickhouse/connection.ts';
import type { Rows } from '../../clickhouse/lane.ts';
import type { Resource, Scope } from './model.ts';
import { attribute, attributesJson } from './value-text.ts';

/** Earliest time that is taken for one: what is before stems from a clock or unit that is wrong. */
const MIN_NS = BigInt(Date.UTC(1971, 0)) * 1_000_000n;
/** From here on ClickHouse's DateTime, which the exporter's tables use, cannot hold it. */
const MAX_NS = BigInt(Date.UTC(2106, 0)) * 1_000_000n;

const MIN_APPROXIMATE_NS = Number(MIN_NS);
const MAX_APPROXIMATE_NS = Number(MAX_NS);

/** The same of a time whose halves are known, some nanoseconds at the limits apart. */
export function isStorableParts(low: number, high: number): boolean {
  const ns = high * 4_294_967_296 + low;
  return ns >= MIN_APPROXIMATE_NS && ns < MAX_APPROXIMATE_NS;
}

/** Whether a time can be stored. */
export function isStorable(ns: bigint): boolean {
  return ns >= MIN_NS && ns < MAX_NS;
}

const MAX_REASONS = 3;

/** What was refused, for the answer. */
export function createRefusals() {
  const reasons = new Set<string>();
  let count = 0;
  return {
    add(reason: string, items = 1): void {
      count += items;
      if (reasons.size < MAX_REASONS) reasons.add(reason);
    },
    get count() {
      return count;
    },
    get message() {
      return [...reasons].join('; ');
    },
  };
}

export type Refusals = ReturnType<typeof createRefusals>;

/** Rows of a table as bytes that the writer takes. */
export interface TableRows {
  readonly table: string;
  readonly format: Batch['format'];
  readonly rows: Rows;
}

/** Text of rows by table. */
export function createRowText() {
  const tables = new Map<string, string[]>();
  return {
    add(table: string, row: string): void {
      const rows = tables.get(table);
      if (rows) rows.push(row);
      else tables.set(table, [row]);
    },
    finish(): TableRows[] {
      return [...tables].map(([table, rows]) => ({
        table,
        format: 'JSONEachRow',
        rows: { body: Buffer.from(rows.join('')), count: rows.length },
      }));
    },
  };
}

export type RowText = ReturnType<typeof createRowText>;

const resourceTexts = new WeakMap<Resource, { json: string; service: string }>();

/** The resource's attributes and service name as JSON text. */
export function resourceText(resource: Resource): { json: string; service: string } {
  const known = resourceTexts.get(resource);
  if (known) return known;
  const made = {
    json: attributesJson(resource.attributes),
    service: JSON.stringify(attribute(resource.attributes, 'service.name')),
  };
  resourceTexts.set(resource, made);
  return made;
}

const scopeTexts = new WeakMap<Scope, { name: string; version: string; json: string }>();

/** The scope's name, version and attributes as JSON text. */
export function scopeText(scope: Scope): { name: string; version: string; json: string } {
  const known = scopeTexts.get(scope);
  if (known) return known;
  const made = {
    name: JSON.stringify(scope.name),
    version: JSON.stringify(scope.version),
    json: attributesJson(scope.attributes),
  };
  scopeTexts.set(scope, made);
  return made;
}

/** A number as ClickHouse reads it from JSON. It takes a bare `nan` for a `null` that is cut short. */
export function floatText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return '"nan"';
  return value > 0 ? 'inf' : '-inf';
}

const ABSENT_ID = /^0*$/;

/** An id, or '' where it is absent or all zeros, or undefined where its length is wrong. */
export function readId(hex: string, bytes: number): string | undefined {
  if (hex === '') return '';
  if (hex.length !== bytes * 2) return undefined;
  return ABSENT_ID.test(hex) ? '' : hex;
}
