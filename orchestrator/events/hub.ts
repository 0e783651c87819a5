/**
 * Tells who waits that something has changed, in this server at once and in the others through NOTIFY. Messages
 * are sent after the commit and gathered for some milliseconds: NOTIFY within a transaction would make all commits
 * stand in one line. A message may be lost with its server; whoever waits therefore looks by himself now and then.
 */
import { randomBytes } from 'node:crypto';
import type { Connection } from '../store/connection.ts';

export type Topic = 'run' | 'asset' | 'agent' | 'pool' | 'workflow';
export type ChangeListener = (change: { topic: Topic; id: string }) => void;

/** What is told to dispatch, here and in other servers. */
export interface DispatchSignals {
  /** Queues that have ready tasks; `*` stands for all. */
  ready(queues: ReadonlySet<string>): void;
  /** Sessions that hold tasks to be cancelled. */
  cancelling(sessionIds: ReadonlySet<string>): void;
  /** Sessions that define something else than before. */
  redefined(sessionIds: ReadonlySet<string>): void;
  /** Limits of queues or pools may have changed. */
  limits(): void;
}

export interface Hub {
  changed(topic: Topic, id: string): void;
  ready(queues: Iterable<string>): void;
  cancelling(sessionIds: Iterable<string>): void;
  /** To other servers; this one knows. */
  redefined(sessionIds: Iterable<string>): void;
  onChange(listener: ChangeListener): () => void;
  close(): Promise<void>;
}

const CHANNEL = 'signalbox';
/** A message may be lost: its transaction, which has nothing else, waits for no disk. */
const NOTIFY = `SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)`;
const GATHER_MS = 5;
/** Ids of one topic in a message; where there are more it says `*`. */
const MAX_IDS = 100;
const MAX_ID_LENGTH = 60;
/** A NOTIFY holds a little less than 8,000 bytes. */
const MAX_BYTES = 7_900;
const RECONNECT_MS = 500;

/** A message between servers: who sends it, queues with ready tasks, sessions with cancellations, changes. */
interface Message {
  readonly from: string;
  readonly ready?: readonly string[];
  readonly cancelling?: readonly string[];
  readonly redefined?: readonly string[];
  readonly changes?: Readonly<Partial<Record<Topic, readonly string[]>>>;
}

/** Starts listening. Signals arrive for what other servers say and for what this one says. */
export async function createHub(
  connection: Connection,
  signals: DispatchSignals,
  log: (message: string) => void,
): Promise<Hub> {
  const self = randomBytes(6).toString('hex');
  const listeners = new Set<ChangeListener>();
  const outbox = createOutbox(connection, self, log);

  const tell: ChangeListener = (change) => {
    for (const listener of listeners) listener(change);
  };
  const limitsChanged = () => {
    signals.limits();
    signals.ready(new Set(['*']));
  };
  const receive = (payload: string) => {
    const message = JSON.parse(payload) as Message;
    if (message.from === self) return;
    if (message.ready) signals.ready(new Set(message.ready));
    if (message.redefined) signals.redefined(new Set(message.redefined));
    if (message.cancelling) signals.cancelling(new Set(message.cancelling));
    for (const [topic, ids] of Object.entries(message.changes ?? {})) {
      if (topic === 'pool') limitsChanged();
      for (const id of ids) tell({ topic: topic as Topic, id });
    }
  };
  const subscription = await subscribe(
    connection,
    receive,
    () => signals.ready(new Set(['*'])),
    log,
  );

  return {
    changed(topic, id) {
      tell({ topic, id });
      if (topic === 'pool') limitsChanged();
      outbox.add(topic, id);
    },
    ready(queues) {
      const set = new Set(queues);
      if (set.size === 0) return;
      signals.ready(set);
      for (const queue of set) outbox.add('ready', queue);
    },
    cancelling(sessionIds) {
      const set = new Set(sessionIds);
      if (set.size === 0) return;
      signals.cancelling(set);
      for (const id of set) outbox.add('cancelling', id);
    },
    redefined(sessionIds) {
      for (const id of sessionIds) outbox.add('redefined', id);
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    async close() {
      listeners.clear();
      await outbox.close();
      await subscription.close();
    },
  };
}

/** Listens, and does so again after each interruption. @param missed is told when messages may have been missed */
async function subscribe(
  connection: Connection,
  receive: (payload: string) => void,
  missed: () => void,
  log: (message: string) => void,
): Promise<{ close(): Promise<void> }> {
  let closed = false;
  let current: { close(): Promise<void> } | undefined;
  let again: NodeJS.Timeout | undefined;
  const listen = async (): Promise<void> => {
    const lost = () => {
      log('listening for changes was interrupted');
      retry();
    };
    current = await connection.listen([CHANNEL], (_, payload) => receive(payload), lost);
    if (closed) await current.close();
  };
  const retry = () => {
    if (closed) return;
    again = setTimeout(() => {
      listen().then(missed, retry);
    }, RECONNECT_MS);
  };
  await listen();
  return {
    async close() {
      closed = true;
      clearTimeout(again);
      await current?.close();
    },
  };
}

/** Gathers what other servers are to hear, and sends it: at once where nothing was sent just before. */
function createOutbox(connection: Connection, self: string, log: (message: string) => void) {
  const pending = new Map<string, Set<string>>();
  let sending: Promise<void> | undefined;

  async function send(): Promise<void> {
    while (pending.size > 0) {
      const full = messageOf(self, pending, MAX_IDS);
      const text = Buffer.byteLength(full) > MAX_BYTES ? messageOf(self, pending, 0) : full;
      pending.clear();
      await connection.db
        .execute(NOTIFY, [CHANNEL, text])
        .catch((error: Error) => log(`other servers were not told of a change: ${error.message}`));
      await new Promise((resolve) => setTimeout(resolve, GATHER_MS));
    }
    sending = undefined;
  }

  return {
    add(kind: string, id: string) {
      const ids = pending.get(kind) ?? new Set();
      // It says `*` already.
      if (ids.size > MAX_IDS) return;
      pending.set(kind, ids.add(id.length > MAX_ID_LENGTH ? '*' : id));
      sending ??= Promise.resolve().then(send);
    },
    async close() {
      await sending;
    },
  };
}

/** @param maxIds of each kind; where there are more it says `*` */
function messageOf(
  from: string,
  pending: ReadonlyMap<string, ReadonlySet<string>>,
  maxIds: number,
): string {
  const { ready, cancelling, redefined, ...changes } = Object.fromEntries(
    [...pending].map(([kind, ids]) => [kind, ids.size > maxIds ? ['*'] : [...ids]]),
  );
  return JSON.stringify({ from, ready, cancelling, redefined, changes });
}
