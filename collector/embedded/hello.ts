/**
 * The greeting of ClickHouse's Go client (and so of Grafana's data source). It announces a protocol
 * revision and expects its first block in that revision's form, while the engine in process writes
 * revision 0. Answered by hand, with `revision()` 0, it makes the client read revision 0 from then on.
 */
import type { Engine } from './engine.ts';

const HELLO =
  /^\s*SELECT\s+displayName\(\)\s*,\s*version\(\)\s*,\s*revision\(\)\s*,\s*timezone\(\)\s*;?\s*$/i;

/** True for exactly that query, sent with a protocol revision. */
export function isHello(text: string, protocolVersion: string | undefined): boolean {
  return Number(protocolVersion) > 0 && HELLO.test(text);
}

/** The block: block info, one row of four columns, each with the sign for plain serialization. */
export function helloBlock(engine: Engine): Buffer {
  const info = Buffer.from([1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0]);
  const plain = Buffer.from([0]);
  const column = (name: string, type: string, value: Buffer) =>
    Buffer.concat([text(name), text(type), plain, value]);
  return Buffer.concat([
    info,
    Buffer.from([4, 1]),
    column('displayName()', 'String', text('signalbox')),
    column('version()', 'String', text(engine.version)),
    column('revision()', 'UInt32', Buffer.alloc(4)),
    column('timezone()', 'String', text(engine.timezone)),
  ]);
}

/** A string with its length; every text here is shorter than 128 bytes. */
function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.byteLength]), bytes]);
}
