/** The agent protocol over real HTTP in front of an orchestrator, with faults at will. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import type { DiedRequest, LogLine } from '../../../domain/agent-protocol.ts';
import { SignalboxError, toProblem } from '../../../domain/errors.ts';
import type { AgentService } from '../../../orchestrator/service.ts';

export const TOKEN = 'agent-token';

/** Lines that agents sent. */
export const logged: LogLine[] = [];

/** What happens to a call: answered, answered into the void after it took effect, or refused with a status. */
export type Fault = 'none' | 'answer-lost' | number;

export interface HttpDoor {
  readonly url: string;
  readonly calls: { readonly path: string; readonly bytes: number }[];
  /** Decides each call's fate by its last path part. */
  fault: (call: string) => Fault;
  close(): Promise<void>;
}

type Body = Parameters<AgentService['register']>[0] &
  Parameters<AgentService['claim']>[1] &
  Parameters<AgentService['complete']>[1] &
  Parameters<AgentService['heartbeat']>[1] &
  Parameters<AgentService['once']>[1] &
  Parameters<AgentService['startSubflow']>[1] & {
    steps: Parameters<AgentService['recordSteps']>[1];
    lines: LogLine[];
  };

export async function openHttpDoor(service: AgentService, port = 0): Promise<HttpDoor> {
  const door = {
    url: '',
    calls: [] as { path: string; bytes: number }[],
    fault: (_call: string): Fault => 'none',
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  const server = createServer((request, response) => {
    void handle(request, response);
  });

  async function handle(request: IncomingMessage, response: ServerResponse) {
    const url = new URL(request.url ?? '', 'http://door');
    const parts = url.pathname.replace('/api/v1/agent/', '').split('/').map(decodeURIComponent);
    const call = parts[1] ?? parts[0] ?? '';
    door.calls.push({ path: url.pathname, bytes: Number(request.headers['content-length'] ?? 0) });
    const fault = door.fault(call);
    if (typeof fault === 'number')
      return void response.writeHead(fault, { 'retry-after': '0' }).end();
    try {
      if (request.headers.authorization !== `Bearer ${TOKEN}`) {
        throw new SignalboxError('unauthenticated');
      }
      const closed = new AbortController();
      response.once('close', () => closed.abort());
      const body = request.method === 'POST' ? ((await json(request)) as Body) : ({} as Body);
      const answer = await route(service, parts, body, url.searchParams, closed.signal);
      if (fault === 'answer-lost') return void request.socket.destroy();
      const text = answer === undefined ? '' : JSON.stringify(answer);
      response.writeHead(text === '' ? 204 : 200, { 'content-type': 'application/json' }).end(text);
    } catch (error) {
      const known =
        error instanceof SignalboxError ? error : new SignalboxError('internal', String(error));
      const problem = toProblem(known);
      response.writeHead(problem.status).end(JSON.stringify(problem));
    }
  }

  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  door.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return door;
}

async function route(
  service: AgentService,
  [id = '', what, a = '', b = '', ...more]: string[],
  body: Body,
  query: URLSearchParams,
  signal: AbortSignal,
): Promise<unknown> {
  if (id === 'settings') return { otlpPort: 1 };
  if (id === 'register') return service.register(body);
  if (what === 'claim') return service.claim(id, body, signal);
  if (what === 'complete') return service.complete(id, body);
  if (what === 'heartbeat') return service.heartbeat(id, body);
  if (what === 'once') return service.once(id, body);
  if (what === 'results') return service.result(id, a, b);
  if (what === 'assets' && b === 'history') return { versions: await service.assetHistory(id, a) };
  if (what === 'assets' && b === 'for') {
    const partition = query.get('partition');
    return service.assetInput(id, {
      ...{ assetKey: a, runId: more[0] ?? '', taskKey: more[1] ?? '' },
      ...(partition === null ? {} : { partition }),
    });
  }
  if (what === 'assets') return { value: await service.assetValue(id, a) };
  if (what === 'steps' && a !== '') return { steps: await service.steps(id, a) };
  if (what === 'steps') return { outcomes: await service.recordSteps(id, body.steps) };
  if (what === 'runs' && a === '') return service.startSubflow(id, body);
  if (what === 'runs') return service.waitRun(id, a, Number(query.get('waitMs')), signal);
  if (what === 'stop') return service.stop(id);
  if (what === 'died') return service.died(id, body as unknown as DiedRequest);
  if (what === 'logs') {
    logged.push(...body.lines);
    return undefined;
  }
  throw new SignalboxError('not-found', what);
}
