/**
 * One reply. Up to a megabyte is held back, so that an error in that part still gets its own status
 * and headers; after that the bytes flow as fast as the client takes them, and an error can only be
 * told by ClickHouse's marker in the text and a connection that breaks off.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { type BlockMethod, writeBlocks } from './block-framing.ts';
import { type Coding, encoder } from './content-coding.ts';
import type { Engine } from './engine.ts';
import { type ClickHouseException, fromEngine, httpStatus } from './exceptions.ts';
import { contentType } from './formats.ts';

/** How the body of a reply is packed. */
export interface ReplyPacking {
  readonly queryId: string;
  /** ClickHouse's own blocks. */
  readonly blocks: BlockMethod | undefined;
  readonly coding: Coding | undefined;
  /** Bytes held back before the reply begins. */
  readonly holdBytes: number;
}

/** What a query took, for the summary header. */
export interface ReplySummary {
  readonly readRows: number;
  readonly readBytes: number;
  readonly writtenRows: number;
  readonly writtenBytes: number;
  readonly resultRows: number;
  readonly resultBytes: number;
  readonly elapsedSeconds: number;
}

/** The summary of what did nothing. */
export const NOTHING_DONE: ReplySummary = {
  readRows: 0,
  readBytes: 0,
  writtenRows: 0,
  writtenBytes: 0,
  resultRows: 0,
  resultBytes: 0,
  elapsedSeconds: 0,
};

/** How long a client may take nothing while a query waits for it. */
const MAX_STALL_MS = 60_000;

/** The client has gone, or takes nothing any more. */
class ClientGoneError extends Error {}

/** Sends one reply. */
export class Reply {
  private readonly engine: Engine;
  private readonly request: IncomingMessage;
  private readonly response: ServerResponse;
  private packing: ReplyPacking = {
    queryId: '',
    blocks: undefined,
    coding: undefined,
    holdBytes: 0,
  };
  private held: Uint8Array[] = [];
  private heldBytes = 0;
  private sink: Writable | undefined;
  private readonly tag = randomBytes(8).toString('hex');

  constructor(engine: Engine, request: IncomingMessage, response: ServerResponse) {
    this.engine = engine;
    this.request = request;
    this.response = response;
    response.setHeader('X-ClickHouse-Server-Display-Name', 'signalbox');
    response.on('error', () => undefined);
  }

  /** Calls back when the client goes before its reply has ended. */
  onClientGone(callback: () => void): void {
    this.response.once('close', () => {
      if (!this.response.writableFinished) callback();
    });
  }

  /** True when nobody waits for this reply any more. */
  get isClientGone(): boolean {
    return this.response.destroyed;
  }

  /** A short text without any packing. */
  plain(status: number, text: string): void {
    this.response.writeHead(status, { 'Content-Type': 'text/html; charset=UTF-8' });
    this.response.end(this.request.method === 'HEAD' ? undefined : text);
  }

  /** Says how the body will be packed; before anything is written. */
  pack(packing: ReplyPacking): void {
    this.packing = packing;
    this.response.setHeader('X-ClickHouse-Query-Id', packing.queryId);
    this.response.setHeader('X-ClickHouse-Timezone', this.engine.timezone);
  }

  /** Names the format of the result. */
  format(name: string | undefined): void {
    if (name === undefined) return;
    this.response.setHeader('X-ClickHouse-Format', name);
    this.response.setHeader('Content-Type', contentType(name));
  }

  /** Adds to the body; resolves when the client is ready for more. */
  async write(chunk: Uint8Array): Promise<void> {
    if (chunk.byteLength === 0) return;
    if (this.sink) return this.push(this.sink, chunk);
    this.held.push(chunk);
    this.heldBytes += chunk.byteLength;
    if (this.heldBytes > this.packing.holdBytes) await this.begin(NOTHING_DONE);
  }

  /** Ends the body. */
  async end(summary: ReplySummary): Promise<void> {
    if (!this.sink) {
      const { coding, blocks } = this.packing;
      if (!coding && !blocks) this.response.setHeader('Content-Length', this.heldBytes);
      await this.begin(summary);
    }
    this.sink?.end();
  }

  /** Tells of an error, whatever has been sent so far. */
  fail(error: unknown): void {
    if (error instanceof ClientGoneError || this.response.destroyed) {
      this.response.destroy();
      return;
    }
    const fault = fromEngine(error);
    if (this.sink) this.breakOff(this.sink, fault);
    else this.refuse(fault);
  }

  private refuse(fault: ClickHouseException): void {
    const text = fault.text(this.engine.version);
    this.held = [];
    const status = httpStatus(fault.code);
    if (status === 401) this.response.setHeader('WWW-Authenticate', 'Basic realm="ClickHouse"');
    if (status === 503) this.response.setHeader('Retry-After', '1');
    // What is left of the request is not read; so the connection serves no other.
    if (!this.request.complete) this.response.setHeader('Connection', 'close');
    this.response.writeHead(status, {
      'X-ClickHouse-Exception-Code': String(fault.code),
      'X-ClickHouse-Summary': summaryText(NOTHING_DONE),
      'Content-Type': 'text/plain; charset=UTF-8',
      'Content-Length': Buffer.byteLength(text),
    });
    this.response.end(this.request.method === 'HEAD' ? undefined : text);
  }

  /** ClickHouse's form for an error after the reply has begun. */
  private breakOff(sink: Writable, fault: ClickHouseException): void {
    const text = fault.text(this.engine.version);
    const marker = `\r\n__exception__\r\n${this.tag}\r\n${text}${Buffer.byteLength(text)} ${this.tag}\r\n__exception__\r\n`;
    this.push(sink, Buffer.from(marker))
      .catch(() => undefined)
      .finally(() => setImmediate(() => this.response.destroy()));
  }

  private async begin(summary: ReplySummary): Promise<void> {
    const { coding } = this.packing;
    this.response.setHeader('X-ClickHouse-Summary', summaryText(summary));
    this.response.setHeader('X-ClickHouse-Exception-Tag', this.tag);
    if (!this.response.hasHeader('Content-Type')) {
      this.response.setHeader('Content-Type', 'text/plain; charset=UTF-8');
    }
    if (coding) this.response.setHeader('Content-Encoding', coding);
    this.response.writeHead(200);
    if (this.request.method === 'HEAD') {
      this.sink = this.response;
      return;
    }
    const sink = coding ? encoder(coding) : this.response;
    if (sink !== this.response) {
      sink.on('error', () => this.response.destroy());
      this.response.once('close', () => sink.destroy());
      sink.pipe(this.response);
    }
    this.sink = sink;
    const held = this.held;
    this.held = [];
    for (const chunk of held) await this.push(sink, chunk);
  }

  private async push(sink: Writable, chunk: Uint8Array): Promise<void> {
    if (this.request.method === 'HEAD') return;
    const { blocks } = this.packing;
    const pieces = blocks ? writeBlocks(chunk, blocks) : [chunk];
    for await (const piece of pieces) {
      if (this.response.destroyed || sink.destroyed)
        throw new ClientGoneError('the client has gone');
      if (!sink.write(piece)) await this.drained(sink);
    }
  }

  private async drained(sink: Writable): Promise<void> {
    const abort = new AbortController();
    const gone = () => abort.abort();
    this.response.once('close', gone);
    const stalled = setTimeout(gone, MAX_STALL_MS);
    try {
      if (this.response.destroyed) gone();
      await once(sink, 'drain', { signal: abort.signal });
    } catch {
      throw new ClientGoneError('the client has gone');
    } finally {
      clearTimeout(stalled);
      this.response.off('close', gone);
    }
  }
}

function summaryText(summary: ReplySummary): string {
  return JSON.stringify({
    read_rows: String(summary.readRows),
    read_bytes: String(summary.readBytes),
    written_rows: String(summary.writtenRows),
    written_bytes: String(summary.writtenBytes),
    total_rows_to_read: '0',
    result_rows: String(summary.resultRows),
    result_bytes: String(summary.resultBytes),
    elapsed_ns: String(Math.max(1, Math.round(summary.elapsedSeconds * 1e9))),
  });
}
