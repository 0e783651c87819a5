/**
 * Server-sent events: what changed, told to every console that looks on. A change is a topic and an id, never
 * the thing itself, so that nothing is told that the reader's role may not see. Changes are coalesced for a
 * moment; a client that cannot keep up gets `id: "*"` for a topic (read the list again) instead of a queue
 * without end.
 */
import type { ServerResponse } from 'node:http';
import { isListed, plainName, qualify } from '../domain/environment.ts';
import { within } from './within.ts';

export type Topic = 'run' | 'asset' | 'agent' | 'pool' | 'workflow' | 'incident' | 'execution';

export interface Change {
  readonly topic: Topic;
  readonly id: string;
}

const FLUSH_EVERY_MS = 200;
const PING_EVERY_MS = 15_000;
/** A database that hangs must not keep from the console what it is to hear of just then. */
const ASK_LIMIT_MS = 1_000;
const MAX_PENDING = 500;
const MAX_CLIENTS = 1_000;

/** What a client wants to hear of. */
export interface LiveFilter {
  /** As a list is told it; production unless told. */
  readonly environment?: string | undefined;
  /** Changes of this run alone. */
  readonly run?: string | undefined;
}

interface Client extends LiveFilter {
  readonly response: ServerResponse;
  readonly pending: Map<string, Change>;
  blocked: boolean;
}

/** Environments by run; those of production are missing. Runs that are not known are of production. */
type EnvironmentsOf = (runIds: readonly string[]) => Promise<ReadonlyMap<string, string>>;

/** Fans changes out to the clients. @param environmentsOf asked once for all runs that are told next */
export function createLive(environmentsOf: EnvironmentsOf) {
  const clients = new Set<Client>();
  let order = 0;
  let flushing = false;

  function publish(change: Change): void {
    if (clients.size === 0) return;
    const told = { ...change, id: plainName(change.id) };
    for (const client of clients) if (concerns(client, change)) note(client, told);
  }

  const flusher = setInterval(() => {
    if (flushing) return;
    flushing = true;
    flushAll().finally(() => {
      flushing = false;
    });
  }, FLUSH_EVERY_MS).unref();

  async function flushAll(): Promise<void> {
    const ready = [...clients].filter(({ blocked, pending }) => !blocked && pending.size > 0);
    // What comes while it is asked where these are waits for the next turn.
    const taken = ready.map((client) => [client, takePending(client)] as const);
    const runs = new Set(taken.flatMap(([, changes]) => changes.flatMap(runOf)));
    // Where that cannot be told soon, all are told of all: a client then reads once too often.
    const where =
      runs.size === 0 ? NOWHERE : await within(environmentsOf([...runs]), null, ASK_LIMIT_MS);
    for (const [client, changes] of taken) {
      if (!clients.has(client)) continue;
      tell(client, where === null ? changes : withoutOthers(client, changes, where));
    }
  }
  const pinger = setInterval(() => {
    for (const client of clients) if (!client.blocked) write(client, ': ping\n\n');
  }, PING_EVERY_MS).unref();

  function tell(client: Client, changes: readonly Change[]): void {
    if (changes.length === 0) return;
    let text = '';
    for (const change of changes) {
      order += 1;
      text += `id: ${order}\nevent: change\ndata: ${JSON.stringify(change)}\n\n`;
    }
    write(client, text);
  }

  return {
    publish,
    isFull: () => clients.size >= MAX_CLIENTS,
    size: () => clients.size,
    /** Takes over the response until one of the sides closes it. */
    attach(response: ServerResponse, filter: LiveFilter = {}): void {
      const client: Client = { ...filter, response, pending: new Map(), blocked: false };
      clients.add(client);
      response.on('drain', () => {
        client.blocked = false;
      });
      response.on('close', () => clients.delete(client));
      response.on('error', () => clients.delete(client));
      write(client, `retry: 1000\nevent: hello\ndata: {}\n\n`);
    },
    close(): void {
      clearInterval(flusher);
      clearInterval(pinger);
      for (const { response } of clients) response.end();
      clients.clear();
    },
  };
}

export type Live = ReturnType<typeof createLive>;

/** Topics whose ids are names. Where a run is, is asked before it is told; of incidents an id does not say it. */
const NAMED: ReadonlySet<Topic> = new Set(['asset', 'agent', 'pool', 'workflow']);
const NOWHERE: ReadonlyMap<string, string> = new Map();

function concerns({ environment, run }: Client, { topic, id }: Change): boolean {
  if (run !== undefined) return topic === 'run' && (id === run || id === '*');
  return !NAMED.has(topic) || id === '' || id === '*' || isListed(environment, id);
}

function runOf({ topic, id }: Change): readonly string[] {
  return topic === 'run' && id !== '*' && id !== '' ? [id] : [];
}

function takePending({ pending }: Client): readonly Change[] {
  const changes = [...pending.values()];
  pending.clear();
  return changes;
}

/** What is left without runs of other environments than the client looks at. */
function withoutOthers(
  { environment }: Client,
  changes: readonly Change[],
  where: ReadonlyMap<string, string>,
): readonly Change[] {
  return changes.filter((change) => {
    const [run] = runOf(change);
    // As a name of that environment would be listed.
    return run === undefined || isListed(environment, qualify(where.get(run) ?? null, run));
  });
}

function note(client: Client, change: Change): void {
  const { pending } = client;
  const all = `${change.topic}/*`;
  if (pending.has(all)) return;
  if (pending.size >= MAX_PENDING) {
    for (const key of pending.keys()) if (key.startsWith(`${change.topic}/`)) pending.delete(key);
    pending.set(all, { topic: change.topic, id: '*' });
    return;
  }
  pending.set(`${change.topic}/${change.id}`, change);
}

function write(client: Client, text: string): void {
  client.blocked = !client.response.write(text);
}
