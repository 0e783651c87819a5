/** The workflows whose runs make several assets, as the store and other environments name them. */
import { environmentOf, qualify } from '../../domain/environment.ts';
import { SHARED_WORKFLOWS } from '../../domain/shared-workflow.ts';

/** Whether a column names one of them: of production, or of any environment. */
export function isSharedSql(column: string): string {
  const names = SHARED_WORKFLOWS.map((name) => `'${name}'`).join(', ');
  const each = SHARED_WORKFLOWS.join('|');
  return `(${column} IN (${names}) OR (${column} LIKE '~%' AND ${column} ~ '^~[^~]+~(${each})$'))`;
}

/** Those of the environments that assets are of. */
export function sharedWorkflowsOf(keys: Iterable<string>): readonly string[] {
  const environments = new Set(Array.from(keys, environmentOf));
  return [...environments].flatMap((of) => SHARED_WORKFLOWS.map((name) => qualify(of, name)));
}
