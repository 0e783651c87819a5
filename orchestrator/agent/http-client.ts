/**
 * The HTTP client of agents: connections that are kept, and one way to ask. Only these two parts of undici are loaded;
 * the rest of it (caches, mocks, WebSockets) is a tenth of what an agent's process may hold.
 */
import { createRequire } from 'node:module';
import type { Agent, Dispatcher } from 'undici';

type Request = (this: Dispatcher, options: Dispatcher.RequestOptions) => Answered;
type Answered = Promise<Dispatcher.ResponseData>;

const require = createRequire(import.meta.url);
const LeanAgent = require('undici/lib/dispatcher/agent.js') as typeof Agent;
const ask = require('undici/lib/api/api-request.js') as Request;

export interface HttpClient {
  /** @param url whole, with its query */
  request(url: string, options: Omit<Dispatcher.RequestOptions, 'origin' | 'path'>): Answered;
  /** Ends all calls and connections. */
  destroy(): Promise<void>;
}

export function httpClient(options: Agent.Options): HttpClient {
  const agent = new LeanAgent(options);
  return {
    request(url, rest) {
      const { origin, pathname, search } = new URL(url);
      return ask.call(agent, { ...rest, origin, path: pathname + search });
    },
    destroy: () => agent.destroy(),
  };
}
