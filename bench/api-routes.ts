/**
 * Every route that only reads, out of the server's own OpenAPI document, so that none is forgotten: once plain, once
 * with each filter, with the longest page, and with a page far behind the first.
 */
import type { Client } from 'undici';

interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query';
  readonly required?: boolean;
  readonly schema?: {
    readonly enum?: readonly string[];
    readonly type?: string;
    readonly maximum?: number;
  };
}

interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly tags?: readonly string[];
}

export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** A route with one choice of its parameters; `path` gives a path for each turn. */
export interface Call {
  readonly title: string;
  path(turn: number): string;
}

export interface Plan {
  readonly calls: readonly Call[];
  /** Routes and parameters that are not measured, and why. */
  readonly left: readonly string[];
}

type Samples = Readonly<Record<string, readonly string[]>>;

/** Values of parameters of queries. What holds `/` is for that path alone. */
const VALUES: Readonly<Record<string, readonly string[]>> = {
  workflow: ['flow-00000', 'flow-00077'],
  engine: ['signalbox', 'nothing'],
  task: ['load'],
  taskKey: ['load'],
  attempt: ['1'],
  search: ['rows'],
  check: ['not-empty'],
  '/assets/{key}/metadata name': ['rows'],
  partition: ['2024-03-01'],
  key: ['report-3'],
  kind: ['markdown'],
  grace: ['1h'],
  count: ['10'],
  depth: ['5', '50'],
  from: ['2024-02-01T00:00:00Z'],
  to: ['2024-03-01T00:00:00Z'],
  missed: ['true'],
  environment: ['dev'],
};

const PREFIX = '/api/v1';
const SKIPPED: Readonly<Record<string, string>> = {
  '/events': 'a stream without end; the viewers look at it',
};
/** Pages that are read before a page far behind the first is measured. */
const PAGES_BEHIND = 20;

/** Makes calls of all routes; asks the server for ids that no sample has, and for cursors. */
export async function planCalls(
  document: OpenApi,
  samples: Samples,
  get: (path: string) => Promise<unknown>,
): Promise<Plan> {
  const calls: Call[] = [];
  const left: string[] = [];
  for (const [full, methods] of Object.entries(document.paths)) {
    const path = full.slice(PREFIX.length);
    const operation = methods['get'];
    if (!operation || !full.startsWith(PREFIX)) continue;
    if (path.startsWith('/agent/')) continue;
    const why = SKIPPED[path];
    if (why !== undefined) left.push(`${path}: ${why}`);
    if (why !== undefined) continue;
    const parameters = operation.parameters ?? [];
    const places = await placesOf(path, samples, get);
    if (places === undefined) left.push(`${path}: nothing is there to ask for`);
    else await addCalls({ path, parameters, places, calls, left, get });
  }
  return { calls: [...calls, ...searches(samples)], left };
}

/** Paths with each placeholder filled, a number of them. */
async function placesOf(
  path: string,
  samples: Samples,
  get: (path: string) => Promise<unknown>,
): Promise<readonly string[] | undefined> {
  const names = [...path.matchAll(/\/([^/{}]+)\/\{\w+\}/g)];
  let places = [path];
  for (const [found, segment = ''] of names) {
    const values =
      (path.includes('/partitions') ? samples[`${segment} partitions`] : undefined) ??
      samples[segment] ??
      (await askFor(path.slice(0, path.indexOf(found)), segment, get));
    if (values.length === 0) return undefined;
    const fill = found.slice(segment.length + 2);
    places = values.flatMap((value, index) => {
      const place = places[index % places.length] ?? path;
      return [place.replace(fill, encodeURIComponent(value))];
    });
  }
  return places.some((place) => place.includes('{')) ? undefined : places;
}

async function askFor(before: string, segment: string, get: (path: string) => Promise<unknown>) {
  if (before.includes('{')) return [];
  const page = (await get(`${before}/${segment}`).catch(() => ({}))) as {
    items?: readonly Readonly<Record<string, unknown>>[];
  };
  return (page.items ?? []).flatMap(({ id, name, key }) => {
    const value = id ?? name ?? key;
    return typeof value === 'string' ? [value] : [];
  });
}

interface Adding {
  readonly path: string;
  readonly parameters: readonly Parameter[];
  readonly places: readonly string[];
  readonly calls: Call[];
  readonly left: string[];
  get(path: string): Promise<unknown>;
}

async function addCalls({ path, parameters, places, calls, left, get }: Adding): Promise<void> {
  const queries = parameters.filter((parameter) => parameter.in === 'query');
  const valuesOf = ({ name, schema }: Parameter) =>
    schema?.enum ?? VALUES[`${path} ${name}`] ?? VALUES[name] ?? [];
  // What must be told has a default nearly always; where not, it is told in each call.
  const needed = queries.flatMap((query) => {
    const value = VALUES[`${path} ${query.name}`]?.[0];
    return value === undefined ? [] : [`${query.name}=${encodeURIComponent(value)}`];
  });
  const add = (title: string, query: readonly string[]) => {
    const text = [...needed, ...query].join('&');
    calls.push({
      title,
      path: (turn) => `${PREFIX}${places[turn % places.length]}${text === '' ? '' : `?${text}`}`,
    });
  };
  add(path, []);
  for (const query of queries) {
    const { name } = query;
    if (needed.some((one) => one.startsWith(`${name}=`))) continue;
    if (name === 'limit') add(`${path}?limit=1000`, ['limit=1000']);
    else if (name === 'cursor') {
      const place = places[0] ?? path;
      const cursor = await cursorBehind(`${PREFIX}${place}`, needed, get);
      if (cursor === undefined) continue;
      calls.push({
        title: `${path}, ${cursor.pages} pages on`,
        path: () => `${PREFIX}${place}?${[...needed, `cursor=${cursor.cursor}`].join('&')}`,
      });
    } else {
      const values = valuesOf(query);
      if (values.length === 0) left.push(`${path}: no value for ?${name}`);
      for (const value of values)
        add(`${path}?${name}=${value}`, [`${name}=${encodeURIComponent(value)}`]);
    }
  }
}

async function cursorBehind(
  path: string,
  needed: readonly string[],
  get: (path: string) => Promise<unknown>,
): Promise<{ cursor: string; pages: number } | undefined> {
  let cursor: string | undefined;
  let pages = 0;
  for (; pages < PAGES_BEHIND; pages += 1) {
    const query = [...needed, ...(cursor === undefined ? [] : [`cursor=${cursor}`])].join('&');
    // What cannot be asked for here is told by the plain call's status.
    const page = (await get(query === '' ? path : `${path}?${query}`).catch(() => ({}))) as {
      nextCursor?: string | null;
    };
    if (typeof page.nextCursor !== 'string') break;
    cursor = encodeURIComponent(page.nextCursor);
  }
  return cursor === undefined ? undefined : { cursor, pages };
}

/** Filters in pairs, as people combine them. */
function searches({ workflows = [] }: Samples): Call[] {
  const pairs = ['failed', 'running', 'succeeded', 'cancelled'].flatMap((state) =>
    workflows.map((workflow) => ({ state, workflow })),
  );
  return [
    {
      title: '/runs?state&workflow',
      path: (turn) => {
        const { state, workflow } = pairs[turn % pairs.length] ?? { state: 'failed', workflow: '' };
        return `${PREFIX}/runs?state=${state}&workflow=${workflow}`;
      },
    },
  ];
}

export interface Timing {
  readonly title: string;
  readonly tookMs: readonly number[];
  readonly bytes: number;
  readonly status: number;
}

const WARM_UP = 5;

/** Calls one after the other on one connection. */
export async function timeCall(
  client: Client,
  headers: Readonly<Record<string, string>>,
  { title, path }: Call,
  calls: number,
): Promise<Timing> {
  const tookMs: number[] = [];
  let bytes = 0;
  let status = 0;
  for (let turn = -WARM_UP; turn < calls; turn += 1) {
    const startedAt = performance.now();
    const answer = await client.request({ method: 'GET', path: path(turn + WARM_UP), headers });
    bytes = (await answer.body.arrayBuffer()).byteLength;
    if (turn >= 0) tookMs.push(performance.now() - startedAt);
    if (status === 0 || answer.statusCode >= 400) status = answer.statusCode;
  }
  return { title, tookMs, bytes, status };
}
