import type { Subject } from '../../../../domain/finding.ts';
import { paths } from '../../routes.ts';

/** The page of a thing; null where it has none. */
export function hrefOfSubject({ type, id }: Subject): string | null {
  switch (type) {
    case 'asset':
      return paths.asset(id);
    case 'run':
      return paths.run(id);
    case 'workflow':
    case 'schedule':
      return paths.workflow(id);
    case 'pool':
      return paths.pools();
    case 'queue':
      return paths.agents({ queue: id });
    case 'agent':
      return paths.agents();
    default:
      return null;
  }
}
