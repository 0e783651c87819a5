/**
 * Every address of the console in one place: how a page's URL is written, and how a URL is read. Filters
 * and selection live in the query, so that a link shows another person exactly the same.
 */

type Query = Readonly<Record<string, string | null | undefined>>;

const part = encodeURIComponent;

export const paths = {
  overview: () => '/',
  incidents: (query: Query = {}) => withQuery('/incidents', query),
  incident: (id: string) => `/incidents/${part(id)}`,
  runs: (query: Query = {}) => withQuery('/runs', query),
  run: (id: string, query: Query = {}) => withQuery(`/runs/${part(id)}`, query),
  workflows: () => '/workflows',
  workflow: (name: string) => `/workflows/${part(name)}`,
  assets: (query: Query = {}) => withQuery('/assets', query),
  asset: (key: string) => `/assets/${part(key)}`,
  pools: (query: Query = {}) => withQuery('/pools', query),
  agents: () => '/agents',
  automation: () => '/automation',
  login: (next?: string) => withQuery('/login', { next }),
};

export type Route =
  | {
      readonly page:
        | 'overview'
        | 'incidents'
        | 'runs'
        | 'workflows'
        | 'assets'
        | 'pools'
        | 'agents'
        | 'automation'
        | 'login';
    }
  | { readonly page: 'incident' | 'run'; readonly id: string }
  | { readonly page: 'workflow'; readonly name: string }
  | { readonly page: 'asset'; readonly key: string }
  | { readonly page: 'unknown' };

const LISTS = [
  'incidents',
  'runs',
  'workflows',
  'assets',
  'pools',
  'agents',
  'automation',
  'login',
] as const;

/** Reads the path of a URL (without query). */
export function parseRoute(path: string): Route {
  const [first = '', second, ...more] = path.split('/').slice(1);
  if (first === '' && second === undefined) return { page: 'overview' };
  const list = LISTS.find((name) => name === first);
  if (list === undefined) return { page: 'unknown' };
  if (second === undefined || second === '') return { page: list };
  const id = decode([second, ...more].join('/'));
  if (id === undefined) return { page: 'unknown' };
  if (list === 'incidents') return { page: 'incident', id };
  if (list === 'runs') return { page: 'run', id };
  if (list === 'workflows') return { page: 'workflow', name: id };
  if (list === 'assets') return { page: 'asset', key: id };
  return { page: 'unknown' };
}

/** The path with a query changed: null or '' takes a parameter away, undefined leaves it out. */
export function withQuery(path: string, query: Query): string {
  const [base = '', existing = ''] = path.split('?');
  const parameters = new URLSearchParams(existing);
  for (const [name, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '') parameters.delete(name);
    else parameters.set(name, value);
  }
  const text = parameters.toString();
  return text === '' ? base : `${base}?${text}`;
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
