/** What the three protobuf messages share: resource, scope, attributes and their values. */
import {
  type AnyValue,
  type Attributes,
  EMPTY_RESOURCE,
  EMPTY_SCOPE,
  type Resource,
  type Scope,
} from './model.ts';
import { valueText } from './value-text.ts';
import type { WireReader } from './wire.ts';

/**
 * Reads an export request: for each resource and scope, every item. The schema URLs come after the items on the
 * wire, hence the places of the items are marked first and visited once all around them is known.
 */
export function readRequest(
  reader: WireReader,
  item: (resource: Resource, scope: Scope) => void,
): void {
  while (reader.next()) {
    if (reader.field !== 1) {
      reader.skip();
      continue;
    }
    const outer = reader.enter();
    readResourceGroup(reader, item);
    reader.leave(outer);
  }
}

function readResourceGroup(
  reader: WireReader,
  item: (resource: Resource, scope: Scope) => void,
): void {
  let attributes: Attributes = EMPTY_RESOURCE.attributes;
  let schemaUrl = '';
  const scopes: number[] = [];
  while (reader.next()) {
    if (reader.field === 1) attributes = readResource(reader);
    else if (reader.field === 2) scopes.push(reader.mark());
    else if (reader.field === 3) schemaUrl = reader.string();
    else reader.skip();
  }
  const resource = { attributes, schemaUrl };
  for (const place of scopes) reader.revisit(place, () => readScopeGroup(reader, resource, item));
}

function readScopeGroup(
  reader: WireReader,
  resource: Resource,
  item: (resource: Resource, scope: Scope) => void,
): void {
  let scope: Scope = EMPTY_SCOPE;
  let schemaUrl = '';
  const items: number[] = [];
  while (reader.next()) {
    if (reader.field === 1) scope = readScope(reader);
    else if (reader.field === 2) items.push(reader.mark());
    else if (reader.field === 3) schemaUrl = reader.string();
    else reader.skip();
  }
  const whole = { ...scope, schemaUrl };
  for (const place of items) reader.revisit(place, () => item(resource, whole));
}

function readResource(reader: WireReader): Attributes {
  const attributes: string[] = [];
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) readKeyValue(reader, attributes);
    else reader.skip();
  }
  reader.leave(outer);
  return attributes;
}

function readScope(reader: WireReader): Scope {
  const attributes: string[] = [];
  let name = '';
  let version = '';
  let droppedAttributes = 0;
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) name = reader.string();
    else if (reader.field === 2) version = reader.string();
    else if (reader.field === 3) readKeyValue(reader, attributes);
    else if (reader.field === 4) droppedAttributes = reader.uint32Field();
    else reader.skip();
  }
  reader.leave(outer);
  return { name, version, attributes, droppedAttributes, schemaUrl: '' };
}

/** Appends the present field, a KeyValue, as key and text. */
export function readKeyValue(reader: WireReader, into: string[]): void {
  let key = '';
  let value = '';
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) key = reader.string();
    else if (reader.field === 2) value = readValueText(reader);
    else reader.skip();
  }
  reader.leave(outer);
  into.push(key, value);
}

/** The text of the present field, an AnyValue. */
export function readValueText(reader: WireReader): string {
  return valueText(readValue(reader));
}

function readValue(reader: WireReader): AnyValue {
  let value: AnyValue = null;
  const outer = reader.enter();
  while (reader.next()) {
    const read = readAnyField(reader);
    if (read !== undefined) value = read;
  }
  reader.leave(outer);
  return value;
}

/** The present field of an AnyValue; undefined where it is none that is known, which is passed over. */
export function readAnyField(reader: WireReader): AnyValue | undefined {
  switch (reader.field) {
    case 1:
      return reader.string();
    case 2:
      return reader.bool();
    case 3:
      return reader.int64();
    case 4:
      return reader.double();
    case 5:
      return readList(reader);
    case 6:
      return readMap(reader);
    case 7:
      return Buffer.from(reader.base64(), 'base64');
    default:
      reader.skip();
      return undefined;
  }
}

function readList(reader: WireReader): AnyValue[] {
  const list: AnyValue[] = [];
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) list.push(readValue(reader));
    else reader.skip();
  }
  reader.leave(outer);
  return list;
}

function readMap(reader: WireReader): Map<string, AnyValue> {
  const map = new Map<string, AnyValue>();
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) readEntry(reader, map);
    else reader.skip();
  }
  reader.leave(outer);
  return map;
}

function readEntry(reader: WireReader, map: Map<string, AnyValue>): void {
  let key = '';
  let value: AnyValue = null;
  const outer = reader.enter();
  while (reader.next()) {
    if (reader.field === 1) key = reader.string();
    else if (reader.field === 2) value = readValue(reader);
    else reader.skip();
  }
  reader.leave(outer);
  map.set(key, value);
}
