/** One run as everybody sees it. */
import { SignalboxError } from '../../domain/errors.ts';
import type { Run } from '../../domain/run.ts';
import type { Db } from '../store/connection.ts';
import { readRuns, toRun } from '../store/run.ts';
import { checkRunId } from './identifiers.ts';

/** @throws SignalboxError `not-found` */
export async function readRun(db: Db, id: string): Promise<Run> {
  const [row] = await readRuns(db, [checkRunId(id)]);
  if (!row) throw new SignalboxError('not-found', `there is no run ${id}`);
  return toRun(row);
}
