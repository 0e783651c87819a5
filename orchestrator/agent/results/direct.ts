/** An agent that reaches the result store by itself, and so spares the server the content. */
import { createReadStream, createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { BlobError, type BlobStore } from '../../results/blob-store.ts';
import { ConnectionLost, type Transport } from '../transport.ts';

/** The transport, past the server for what lies in this store; content of other stores is asked of the server. */
export function directTo(store: BlobStore, transport: Transport): Transport {
  return {
    ...transport,
    putBlob: (_session, blob, path) =>
      passing(async () => {
        await store.put(blob, createReadStream(path));
        return store.name;
      }),
    getBlob: (session, of, path) =>
      of.store === store.name
        ? passing(async () => pipeline(await store.get(of.key), createWriteStream(path)))
        : transport.getBlob(session, of, path),
  };
}

/** What may work another time is tried again by whoever calls. */
async function passing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BlobError) throw error;
    throw new ConnectionLost(error instanceof Error ? error.message : String(error), error);
  }
}
