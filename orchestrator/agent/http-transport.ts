/** The agent protocol over HTTP. */
import type {
  AssetHistoryReply,
  AssetValueReply,
  Assignment,
  CompleteReply,
  RecordedSteps,
  StepsReply,
} from '../../domain/agent-protocol.ts';
import { HttpCalls } from './http-calls.ts';
import { httpBlobs } from './results/http-blobs.ts';
import type { EndedAttempt, Transport } from './transport.ts';

export interface HttpTransportOptions {
  /** Address of the server, e.g. `http://127.0.0.1:4400`. */
  readonly url: string;
  /** Token of role `agent`. */
  readonly token: string;
  /** Longest silence of the server in a call that does not wait for work; 10 s unless told. */
  readonly answerLimitMs?: number;
}

const ANSWER_LIMIT_MS = 10_000;
const REGISTER_LIMIT_MS = 120_000;

/** The transport of an agent that reaches its server by URL. */
export function httpTransport(options: HttpTransportOptions): Transport {
  const base = `${options.url.replace(/\/+$/, '')}/api/v1/agent`;
  const calls = new HttpCalls(base, options.token);
  const { close: closeBlobs, ...blobs } = httpBlobs(base, options.token);
  const limitMs = options.answerLimitMs ?? ANSWER_LIMIT_MS;
  const post = <T>(path: string, body: unknown, limit = limitMs, signal?: AbortSignal) =>
    calls.call<T>({
      ...{ method: 'POST', path, body: JSON.stringify(body), limitMs: limit },
      ...(signal === undefined ? {} : { signal }),
    });
  const get = <T>(path: string, limit = limitMs, signal?: AbortSignal) =>
    calls.call<T>({
      ...{ method: 'GET', path, limitMs: limit },
      ...(signal === undefined ? {} : { signal }),
    });
  return {
    register: (request) => post('/register', request, REGISTER_LIMIT_MS),
    claim: (id, request, signal) =>
      post(path(id, 'claim'), request, request.waitMs + limitMs, signal),
    complete: async (id, ended, take) =>
      inFull(
        ended,
        await calls.call<CompleteReply>({
          ...{ method: 'POST', path: path(id, 'complete'), limitMs },
          body: completeBody(ended, take),
        }),
      ),
    recordSteps: async (id, steps) => {
      const reply = await post<StepsReply>(path(id, 'steps'), { steps });
      return reply.outcomes;
    },
    heartbeat: (id, report, limit) => post(path(id, 'heartbeat'), report, Math.min(limit, limitMs)),
    logs: (id, request) => post(path(id, 'logs'), request),
    once: (id, request) => post(path(id, 'once'), request),
    result: (id, runId, taskKey) => get(path(id, 'results', runId, taskKey)),
    steps: async (id, runId) => (await get<RecordedSteps>(path(id, 'steps', runId))).steps,
    startSubflow: (id, request) => post(path(id, 'runs'), request),
    waitRun: (id, runId, waitMs, signal) =>
      get(`${path(id, 'runs', runId)}?waitMs=${waitMs}`, waitMs + limitMs, signal),
    claimLooks: (id, request, signal) =>
      post(path(id, 'looks'), request, request.waitMs + limitMs, signal),
    endLook: (id, end) => post(path(id, 'looks', 'complete'), end),
    wait: (id, request, signal) =>
      post(path(id, 'waits'), request, request.waitMs + limitMs, signal),
    suspend: (id, request) => post(path(id, 'suspend'), request),
    emit: (id, request) => post(path(id, 'events'), request),
    assetHistory: async (id, key) =>
      (await get<AssetHistoryReply>(path(id, 'assets', key, 'history'))).versions,
    assetValue: async (id, key) => (await get<AssetValueReply>(path(id, 'assets', key))).value,
    assetInput: (id, { runId, taskKey, assetKey, partition }) => {
      const of = partition === undefined ? '' : `?partition=${encodeURIComponent(partition)}`;
      return get(path(id, 'assets', assetKey, 'for', runId, taskKey) + of);
    },
    changePartitions: (id, request) => post(path(id, 'partitions'), request),
    ...blobs,
    cache: (id, request) => post(path(id, 'cache'), request),
    artifact: (id, artifact) => post(path(id, 'artifacts'), artifact),
    stop: (id) => post(path(id, 'stop'), {}),
    async close() {
      await Promise.all([calls.close(), closeBlobs()]);
    },
  };
}

function path(...parts: readonly string[]): string {
  return parts.map((part) => `/${encodeURIComponent(part)}`).join('');
}

/** Completions are encoded already. */
function completeBody(ended: readonly EndedAttempt[], take: number): string {
  let list = '';
  for (const { json } of ended) list += list === '' ? json : `,${json}`;
  return `{"completions":[${list}],"take":${take},"brief":true,"compact":true}`;
}

/** The answer with all that it tells in short told in full. */
function inFull(ended: readonly EndedAttempt[], reply: CompleteReply): CompleteReply {
  const { next = [], assignments, outcomes } = reply;
  if (next.length === 0) return reply;
  const all = [...assignments];
  for (const [place, taskKey, attempt, token, timeoutMs] of next) {
    const known = ended[place]?.assignment;
    if (known) all.push({ ...runOf(known), kind: 'task', taskKey, attempt, token, timeoutMs });
  }
  return { outcomes, assignments: all };
}

/** An assignment without what is its task's alone. */
function runOf(known: Assignment): Assignment {
  // Hardly any has one of these, and nothing is copied for the others.
  if (!known.item && !known.partition && !known.isolated) return known;
  const { item: _, partition: __, isolated: ___, ...run } = known;
  return run;
}
