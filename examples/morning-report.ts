/**
 * A report that has to be there at six in the morning. Somebody is told when it is not, whatever the reason: it is
 * slow, it waits for the warehouse's pool, or its run never came. The pool limits once there is one:
 *
 *   npx signalbox pools set warehouse --max 4
 */
import { type Callback, workflow } from 'signalbox';

/** Stands for your pager; `event.key` keeps it from ringing twice for one event. */
const page: Callback = (event, ctx) => {
  ctx.log.warn(`${event.workflow}: ${event.error ?? event.outcome}`, { key: event.key });
};

export const morningReport = workflow(
  'morning-report',
  {
    description: 'Has to be in the mail at six.',
    tags: ['example'],
    owners: ['finance'],
    schedule: '0 4 * * *',
    timezone: 'Europe/Berlin',
    deadline: { at: '06:00' },
    maxRuntime: '3h',
    onDeadline: page,
    onFailure: page,
  },
  (w) => {
    const load = w.task('load', { pool: 'warehouse', retries: 2, sla: '1h' }, () => ({ rows: 42 }));
    w.task('send', { after: [load], onSuccess: page }, async (ctx) => ctx.result(load));
  },
);
