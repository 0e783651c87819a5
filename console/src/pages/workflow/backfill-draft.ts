/** What a form for a backfill comes to: the request, and the words of its plan. */
import {
  BACKFILL_ORDERS,
  BACKFILL_RERUNS,
  type BackfillOrder,
  type BackfillPlan,
  type BackfillRequest,
  type BackfillRerun,
} from '../../../../domain/backfill.ts';
import { formatCount } from '../../parts/format.ts';

/** As it is filled in: texts of fields. */
export interface BackfillForm {
  readonly from: string;
  readonly to: string;
  readonly order: string;
  readonly concurrency: string;
  readonly rerun: string;
  readonly priority: string;
  readonly every: string;
}

export const EMPTY_BACKFILL: BackfillForm = {
  ...{ from: '', to: '', order: 'oldest-first', concurrency: '', rerun: 'missing' },
  ...{ priority: '', every: '' },
};

export const BACKFILL_FIELDS = [
  ...['from', 'to', 'order', 'concurrency', 'rerun', 'priority', 'every'],
] as const;

export const ORDER_WORDS: Readonly<Record<BackfillOrder, string>> = {
  'oldest-first': 'oldest first',
  'newest-first': 'newest first',
};

export const RERUN_WORDS: Readonly<Record<BackfillRerun, string>> = {
  missing: 'only where there is no run',
  failed: 'also where the last run failed',
  all: 'all of them again',
};

/** What is empty is left out, so that the server's default holds; it also judges what is odd. */
export function backfillRequest(
  form: BackfillForm,
  parameters: Readonly<Record<string, unknown>>,
): BackfillRequest {
  const { concurrency, priority, every } = form;
  return {
    ...{ from: form.from, to: form.to },
    order: BACKFILL_ORDERS.find((one) => one === form.order) ?? 'oldest-first',
    rerun: BACKFILL_RERUNS.find((one) => one === form.rerun) ?? 'missing',
    ...(concurrency.trim() === '' ? {} : { concurrency: Number(concurrency) }),
    ...(priority.trim() === '' ? {} : { priority: Number(priority) }),
    ...(every.trim() === '' ? {} : { every: every.trim() }),
    ...(Object.keys(parameters).length === 0 ? {} : { parameters }),
  };
}

/** A plan in one line. */
export function planLine({ toRun, toSkip, notOver }: BackfillPlan): string {
  return [
    toRun === 0 ? 'Nothing would run' : `${formatCount(toRun, 'run')} would be made`,
    toSkip > 0 ? `${formatCount(toSkip, 'interval')} left alone` : null,
    notOver > 0 ? `${formatCount(notOver, 'interval')} not over yet` : null,
  ]
    .filter((part) => part !== null)
    .join(', ');
}
