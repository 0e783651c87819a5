/**
 * What happens to a request: its text is read, made canonical by the engine's own parser, judged, and
 * run on a connection that has the user's rights; rows of an INSERT go to the engine by way of a file.
 */
import type { IncomingMessage } from 'node:http';
import type { User } from './access.ts';
import { MAX_QUERY_BYTES, type OpenedBody, openBody, readBody } from './body.ts';
import { chooseCoding } from './content-coding.ts';
import type { Engine } from './engine.ts';
import { exception } from './exceptions.ts';
import { keepRows } from './incoming.ts';
import { type InsertHead, isInsert, readInsertHead } from './insert-statement.ts';
import type { Reply } from './reply.ts';
import type { ProtocolRequest } from './request.ts';
import { judgeReadOnly } from './rules.ts';
import { runInsert, runStatement } from './run.ts';
import { makeRunningQueries, type RunningQueries } from './running-queries.ts';
import { makeSessions } from './sessions.ts';
import { makeSlots } from './slots.ts';

/** One request of a known user. */
export interface Job {
  readonly user: User;
  readonly protocol: ProtocolRequest;
  readonly request: IncomingMessage;
  readonly reply: Reply;
  readonly running: RunningQueries;
}

/** Runs requests. */
export interface Executor {
  execute(request: Omit<Job, 'running'>): Promise<void>;
  close(): void;
}

/** Held back so that an error in this part has its own status. */
const HOLD_BYTES = 1_048_576;
/** The most that is kept in memory for one reply. */
const MAX_HELD_BYTES = 256 * 1_048_576;

/** Makes the executor of a server. */
export function makeExecutor(engine: Engine): Executor {
  const slots = makeSlots();
  const sessions = makeSessions(engine);
  const running = makeRunningQueries();

  /** Runs `work` with a slot and a connection. */
  async function run(job: Job, text: string, rows?: { head: InsertHead; path: string }) {
    const release = slots.take(job.user);
    try {
      const state = sessions.open(job.user, job.protocol.session);
      try {
        if (rows) await runInsert(job, state, rows);
        else await runStatement(engine, job, state, text);
      } finally {
        state.done();
      }
    } finally {
      release();
    }
  }

  return {
    async execute(request) {
      const job = { ...request, running };
      packReply(job);
      const body = await readText(job);
      const head = insertHead(body);
      if (!head) return run(job, statementText(body));
      if (job.protocol.readOnly) judgeReadOnly('INSERT');
      if (job.user === 'reader') throw exception('ACCESS_DENIED', 'reader can only read.');
      const rows = await keepRows(rowsOf(body, head));
      try {
        return await run(job, '', { head, path: rows.path });
      } finally {
        await rows.remove();
      }
    },
    close: () => sessions.close(),
  };
}

function packReply({ protocol, request, reply }: Job): void {
  const accepted = request.headers['accept-encoding'];
  reply.pack({
    queryId: protocol.queryId,
    blocks: protocol.blockReply === 'none' ? undefined : protocol.blockReply,
    coding: protocol.httpCompression ? chooseCoding(String(accepted ?? '')) : undefined,
    holdBytes: protocol.waitEndOfQuery ? MAX_HELD_BYTES : HOLD_BYTES,
  });
}

/** The query of the URL and the body are one text, as in ClickHouse. */
async function readText({ protocol, request }: Job): Promise<OpenedBody> {
  const hasBody = request.method === 'POST' || request.method === 'PUT';
  if (hasBody && /^multipart\//i.test(request.headers['content-type'] ?? '')) {
    throw exception(
      'NOT_IMPLEMENTED',
      'External tables are not taken here: send the query as the body.',
    );
  }
  const prefix = protocol.query === undefined ? '' : `${protocol.query}${hasBody ? '\n' : ''}`;
  const chunks = hasBody ? readBody(request, protocol.blockBody) : nothing();
  return openBody(
    Buffer.from(prefix),
    chunks,
    (head) => insertHead({ head, isWhole: false }) !== undefined,
  );
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // A GET has no body.
}

/** The head of an INSERT whose rows follow; undefined for every other statement, or while it is not whole. */
function insertHead({
  head,
  isWhole,
}: Pick<OpenedBody, 'head' | 'isWhole'>): InsertHead | undefined {
  if (!isInsert(head.subarray(0, MAX_QUERY_BYTES).toString('latin1'))) return undefined;
  try {
    return readInsertHead(head);
  } catch (error) {
    if (isWhole) throw error;
    return undefined;
  }
}

function statementText({ head, isWhole }: OpenedBody): string {
  if (!isWhole || head.byteLength > MAX_QUERY_BYTES) {
    throw exception('QUERY_IS_TOO_LARGE', `The query has more than ${MAX_QUERY_BYTES} bytes.`);
  }
  const text = head.toString('utf8').trim();
  if (text === '') throw exception('SYNTAX_ERROR', 'Empty query.');
  if (text.includes('\0')) throw exception('SYNTAX_ERROR', 'The query has a zero byte.');
  return text;
}

async function* rowsOf(body: OpenedBody, head: InsertHead): AsyncGenerator<Uint8Array> {
  yield body.head.subarray(head.dataOffset);
  if (!body.isWhole) yield* body.rest();
}
