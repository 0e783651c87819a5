/** The drills look at the instance from outside, through its HTTP API, as any user's program would. */
import type { Asset } from '../../domain/asset.ts';
import type { Incident } from '../../domain/incident.ts';
import type { Pool } from '../../domain/pool.ts';
import type { Run, Task } from '../../domain/run.ts';
import type { Execution } from '../../domain/runbook.ts';

export interface DrillApi {
  get<T>(path: string): Promise<T>;
  send<T>(method: 'POST' | 'PUT', path: string, body: unknown): Promise<T>;
  incidents(sinceMs: number): Promise<readonly Incident[]>;
  executions(incident: Incident): Promise<readonly Execution[]>;
  runs(workflow: string): Promise<readonly Run[]>;
  tasks(runId: string): Promise<readonly Task[]>;
  asset(key: string): Promise<Asset>;
  pool(name: string): Promise<Pool>;
}

interface List<T> {
  readonly items: readonly T[];
}

/** @param baseUrl of the instance, without `/api/v1` */
export function drillApi(baseUrl: string, token: string): DrillApi {
  async function request<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${baseUrl}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.timeout(15_000),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`${method} ${path} answered ${response.status}: ${text.slice(0, 500)}`);
    }
    return JSON.parse(text) as T;
  }
  const get = <T>(path: string) => request<T>('GET', path);
  return {
    get,
    send: (method, path, body) => request(method, path, body),
    async incidents(sinceMs) {
      const { items } = await get<List<Incident>>('/incidents?limit=100');
      const recent = items.filter((incident) => Date.parse(incident.detectedAt) >= sinceMs);
      return Promise.all(
        recent.map((incident) => get<Incident>(`/incidents/${encodeURIComponent(incident.id)}`)),
      );
    },
    executions: (incident) =>
      Promise.all(incident.executions.map((id) => get<Execution>(`/executions/${id}`))),
    async runs(workflow) {
      const path = `/runs?workflow=${encodeURIComponent(workflow)}&limit=1000`;
      return (await get<List<Run>>(path)).items;
    },
    async tasks(runId) {
      return (await get<List<Task>>(`/runs/${runId}/tasks`)).items;
    },
    asset: (key) => get(`/assets/${encodeURIComponent(key)}`),
    pool: (name) => get(`/pools/${encodeURIComponent(name)}`),
  };
}
