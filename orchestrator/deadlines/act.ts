/**
 * What becomes of what is late: it is failed or cancelled, after the miss was recorded. It is done again until it is
 * noted as done; doing it twice changes nothing.
 */
import { SignalboxError } from '../../domain/errors.ts';
import type { Clock } from '../../domain/time.ts';
import type { RunControlService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import { noteActed, readToAct, type ToActRow } from '../store/deadline-miss.ts';

export interface ActDeps {
  readonly db: Db;
  readonly clock: Clock;
  readonly control: Pick<RunControlService, 'cancel' | 'mark'>;
  log(message: string): void;
}

const AT_ONCE = 100;
const ACTOR = { name: 'signalbox' };

export async function actOnMisses(deps: ActDeps): Promise<void> {
  for (const row of await readToAct(deps.db, AT_ONCE)) {
    const error = await act(deps, row).then(
      () => null,
      (reason: unknown) => {
        // What the run's state forbids stays forbidden; whatever else went wrong is tried again.
        if (reason instanceof SignalboxError) return reason.detail ?? reason.message;
        deps.log(`what to do about ${row.detail} waits: ${String(reason)}`);
        return undefined;
      },
    );
    if (error === undefined) continue;
    await noteActed(deps.db, row.id, new Date(deps.clock.now()), error);
  }
}

async function act({ control }: ActDeps, row: ToActRow): Promise<void> {
  const tasks = row.task_key === null ? {} : { tasks: [row.task_key] };
  const request = { ...tasks, reason: row.detail };
  if (row.on_miss === 'cancel') await control.cancel(row.run_id, request, ACTOR);
  else await control.mark(row.run_id, { ...request, as: 'failed' }, ACTOR);
}
