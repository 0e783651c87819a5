/**
 * Server-sent events: what changed, told to every console that looks on. A change is a topic and an id, never
 * the thing itself, so that nothing is told that the reader's role may not see. Changes are coalesced for a
 * moment; a client that cannot keep up gets `id: "*"` for a topic (read the list again) instead of a queue
 * without end.
 */
import type { ServerResponse } from 'node:http';
import { isListed, plainName } from '../domain/environment.ts';

export type Topic = 'run' | 'asset' | 'agent' | 'pool' | 'workflow' | 'incident' | 'execution';

export interface Change {
  readonly topic: Topic;
  readonly id: string;
}

const FLUSH_EVERY_MS = 200;
const PING_EVERY_MS = 15_000;
const MAX_PENDING = 500;
const MAX_CLIENTS = 1_000;

interface Client {
  readonly response: ServerResponse;
  /** As a list is told it; production unless told. */
  readonly environment: string | undefined;
  readonly pending: Map<string, Change>;
  blocked: boolean;
}

/** Fans changes out to the clients. */
export function createLive() {
  const clients = new Set<Client>();
  let order = 0;

  function publish(change: Change): void {
    if (clients.size === 0) return;
    const told = { ...change, id: plainName(change.id) };
    for (const client of clients) if (concerns(client, change)) note(client, told);
  }

  const flusher = setInterval(() => {
    for (const client of clients) flush(client);
  }, FLUSH_EVERY_MS).unref();
  const pinger = setInterval(() => {
    for (const client of clients) if (!client.blocked) write(client, ': ping\n\n');
  }, PING_EVERY_MS).unref();

  function flush(client: Client): void {
    if (client.blocked || client.pending.size === 0) return;
    let text = '';
    for (const change of client.pending.values()) {
      order += 1;
      text += `id: ${order}\nevent: change\ndata: ${JSON.stringify(change)}\n\n`;
    }
    client.pending.clear();
    write(client, text);
  }

  return {
    publish,
    isFull: () => clients.size >= MAX_CLIENTS,
    size: () => clients.size,
    /** Takes over the response until one of the sides closes it. */
    attach(response: ServerResponse, environment?: string): void {
      const client: Client = { response, environment, pending: new Map(), blocked: false };
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

/** Topics whose ids are names; of the others an id does not say where it is. */
const NAMED: ReadonlySet<Topic> = new Set(['asset', 'agent', 'pool', 'workflow']);

function concerns({ environment }: Client, { topic, id }: Change): boolean {
  return !NAMED.has(topic) || id === '' || id === '*' || isListed(environment, id);
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
