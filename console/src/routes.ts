/**
 * Every address of the console in one place: how a page's URL is written, and how a URL is read. Filters
 * and selection live in the query, so that a link shows another person exactly the same. So does the
 * environment of a branch: links carry on the one that is looked at; production's have none.
 */

type Query = Readonly<Record<string, string | null | undefined>>;

const part = encodeURIComponent;
let environmentNow: () => string | null = () => null;

/** Links are of this environment from now on; null for production. */
export function whichEnvironment(read: () => string | null): void {
  environmentNow = read;
}

/** The environment that is looked at; null for production. */
export const environmentLooked = (): string | null => environmentNow();

const here = (path: string, query: Query = {}) =>
  withQuery(path, { environment: environmentNow(), ...query });

export const paths = {
  overview: () => here('/'),
  incidents: (query: Query = {}) => here('/incidents', query),
  incident: (id: string) => here(`/incidents/${part(id)}`),
  runs: (query: Query = {}) => here('/runs', query),
  run: (id: string, query: Query = {}) => here(`/runs/${part(id)}`, query),
  workflows: (query: Query = {}) => here('/workflows', query),
  workflow: (name: string, query: Query = {}) => here(`/workflows/${part(name)}`, query),
  assets: (query: Query = {}) => here('/assets', query),
  asset: (key: string, query: Query = {}) => here(`/assets/${part(key)}`, query),
  pools: (query: Query = {}) => here('/pools', query),
  agents: (query: Query = {}) => here('/agents', query),
  environments: (query: Query = {}) => here('/environments', query),
  automation: () => here('/automation'),
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
        | 'environments'
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
  'environments',
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
