/**
 * Where a change of environment leads: to the same page where the other environment may have it, and from one run or
 * one thing that is only here to the list of its kind.
 */
import { PRODUCTION } from '../../../domain/environment.ts';
import { paths, type Route, withQuery } from '../routes.ts';

/** The address of what is looked at, in another environment. */
export function environmentHref(route: Route, environment: string): string {
  return withQuery(pageOf(route), {
    environment: environment === PRODUCTION ? null : environment,
  });
}

function pageOf(route: Route): string {
  switch (route.page) {
    case 'run':
      return paths.runs();
    case 'workflow':
      return paths.workflow(route.name);
    case 'asset':
      return paths.asset(route.key);
    case 'incident':
      return paths.incident(route.id);
    case 'unknown':
    case 'login':
      return paths.overview();
    default:
      return paths[route.page]();
  }
}
