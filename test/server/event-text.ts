/** Server-sent events as a client hears them. */
import { waitFor } from '../support/wait-for.ts';

interface HeardEvents extends AsyncDisposable {
  /** All that came until now. */
  text(): string;
}

/** Listens from the server's first word on. */
export async function listenTo(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<HeardEvents> {
  const closing = new AbortController();
  const answer = await fetch(url, { headers, signal: closing.signal });
  let heard = '';
  const read = async () => {
    if (answer.body === null) return;
    for await (const part of answer.body.pipeThrough(new TextDecoderStream())) heard += part;
  };
  const reading = read().catch(() => undefined);
  await waitFor(() => heard.includes('event: hello'), { what: 'the stream' });
  return {
    text: () => heard,
    async [Symbol.asyncDispose]() {
      closing.abort();
      await reading;
    },
  };
}
