/**
 * A condition of claims: ready tasks of workflows that a set of definitions has. Claims only have it once they came
 * upon tasks of others, so that it costs nothing where all agents of a queue define the same. It is looked up by the
 * run's key, row by row, in the order of the claim: written so that it is never made a join. Where many rows of others
 * come first, it is looked the other way round: for rows of the runs of one's own workflows.
 */
import { isSharedSql } from '../catalog/shared-workflows.ts';
import { packTasks } from './bundle.ts';
import { textArray } from './columns.ts';

/** What a claim reads past. */
export interface DefinedFilter {
  /** Row of `definition_set`. */
  readonly definitions: string;
  /** Rows of tasks that the set's names do not tell apart; see `placeOf`. */
  readonly excluded: ReadonlySet<string>;
  /** Workflows that nobody defines and whose runs it has tasks of, where rows are looked for by their runs. */
  readonly byRuns: readonly string[] | null;
}

/** How claims name what they look ready tasks up by. */
export interface ReadyColumns {
  readonly state: string;
  readonly queue: string;
}

const IN_ORDER: ReadyColumns = { state: 'state', queue: 'queue' };
/** As expressions no index has them: what is left is the key of the runs, whatever the statistics say. */
const BY_RUNS: ReadyColumns = { state: '(state + 0)', queue: `(queue || '')` };

export function readyColumns(filter: DefinedFilter | undefined): ReadyColumns {
  return filter === undefined || filter.byRuns === null ? IN_ORDER : BY_RUNS;
}

/**
 * The condition. Runs that make several assets have a workflow that nobody defines: they are let through.
 * @param first number of the first of its parameters: `definedValues`
 */
export function definedSql({ byRuns }: DefinedFilter, first: number): string {
  const ofRuns = `
    AND task_live.run_id = ANY(ARRAY(
      SELECT l.run_id FROM signalbox.definition_set d JOIN signalbox.run_live l ON l.workflow = ANY(d.names || $${first + 2}::text[])
      WHERE d.id = $${first}::bigint))`;
  return `${byRuns === null ? '' : ofRuns}
    AND (SELECT (l.workflow IN (SELECT unnest(d.names) FROM signalbox.definition_set d WHERE d.id = $${first}::bigint)
                 OR ${isSharedSql('l.workflow')})
            AND l.version_id || '/' || task_live.task || '/' || coalesce(encode(task_live.more, 'hex'), '')
                <> ALL($${first + 1}::text[])
         FROM signalbox.run_live l WHERE l.run_id = task_live.run_id)`;
}

export function definedValues({ definitions, excluded, byRuns }: DefinedFilter): readonly string[] {
  return [definitions, textArray([...excluded]), ...(byRuns === null ? [] : [textArray(byRuns)])];
}

/** What tells the row of a task, or of several, from those of other places in other graphs. */
export function placeOf(
  versionId: string,
  row: { readonly task: number; readonly more: readonly number[] },
): string {
  return `${versionId}/${row.task}/${packTasks(row.more)?.slice('\\x'.length) ?? ''}`;
}
