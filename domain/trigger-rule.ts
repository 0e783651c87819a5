/**
 * When a task starts, given how the tasks before it ended. The words are Airflow's. A failed, cancelled or
 * upstream-failed task counts as failed; a rule starts its task as soon as it holds, and ends it (skipped or
 * upstream-failed) as soon as it can no longer hold.
 */
export const TRIGGER_RULES = [
  'all-succeeded',
  'all-done',
  'all-failed',
  'one-succeeded',
  'one-failed',
  'one-done',
  'none-failed',
  'none-failed-min-one-succeeded',
  'none-skipped',
  'all-skipped',
  'all-done-min-one-succeeded',
  'always',
] as const;
export type TriggerRule = (typeof TRIGGER_RULES)[number];
