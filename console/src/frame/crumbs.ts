/** Where one is, as a trail of words; the last is the page's title. */
import { paths, type Route } from '../routes.ts';

export interface Crumb {
  readonly label: string;
  readonly href?: string;
}

const WORDS = {
  overview: 'Overview',
  incidents: 'Incidents',
  runs: 'Runs',
  workflows: 'Workflows',
  assets: 'Assets',
  pools: 'Pools',
  agents: 'Agents and queues',
  environments: 'Environments',
  automation: 'Rules',
  login: 'Sign in',
  unknown: 'Not found',
} as const;

export function crumbsOf(route: Route): readonly Crumb[] {
  switch (route.page) {
    case 'incident':
      return [{ label: WORDS.incidents, href: paths.incidents() }, { label: 'Incident' }];
    case 'run':
      return [{ label: WORDS.runs, href: paths.runs() }, { label: route.id }];
    case 'workflow':
      return [{ label: WORDS.workflows, href: paths.workflows() }, { label: route.name }];
    case 'asset':
      return [{ label: WORDS.assets, href: paths.assets() }, { label: route.key }];
    default:
      return [{ label: WORDS[route.page] }];
  }
}
