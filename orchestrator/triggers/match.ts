/**
 * Which workflows are to run for what happened. Pure: a workflow with `any` gets a run for each condition that comes
 * true, one with `all` when all of its conditions have come true since its last run, the newest event of each.
 */
import { createHash } from 'node:crypto';
import type { Cause, OnCondition } from '../../domain/origin.ts';
import type { MetRow, Subscriber } from '../store/workflow-on.ts';

/** Something that happened, in order. */
export interface Happening {
  readonly cause: Cause;
  /** Names it, so that it starts a workflow once. */
  readonly key: string;
}

export interface Wanted {
  readonly subscriber: Subscriber;
  readonly causes: readonly Cause[];
  readonly key: string;
}

export interface Matched {
  readonly wanted: readonly Wanted[];
  /** Conditions that have come true of workflows with `all`, as they stand afterwards. */
  readonly met: readonly MetRow[];
}

/** @param met conditions that had come true before */
export function matchAll(
  subscribers: readonly Subscriber[],
  happenings: readonly Happening[],
  met: readonly MetRow[],
): Matched {
  const wanted: Wanted[] = [];
  const standing = new Map<string, Map<string, MetRow>>();
  for (const row of met) {
    const own = standing.get(row.workflow) ?? new Map<string, MetRow>();
    standing.set(row.workflow, own.set(row.condition, row));
  }
  for (const { cause, key } of happenings) {
    for (const subscriber of subscribers) {
      const { workflow, match, conditions } = subscriber;
      const true_ = conditions.filter((condition) => comesTrue(condition, cause));
      if (true_.length === 0) continue;
      if (match === 'any') {
        const states = true_.map((one) => (one.kind === 'run' ? one.state : '')).sort();
        wanted.push({ subscriber, causes: [cause], key: `on:${key}:${states[0]}` });
        continue;
      }
      const own = standing.get(workflow) ?? new Map<string, MetRow>();
      standing.set(workflow, own);
      for (const condition of true_) {
        const name = nameOf(condition);
        own.set(name, { workflow, condition: name, event_key: key, cause });
      }
      const all = conditions.map((condition) => own.get(nameOf(condition)));
      if (!all.every((one) => one !== undefined)) continue;
      const causes = [...new Map(all.map((one) => [one.event_key, one.cause])).values()];
      wanted.push({ subscriber, causes, key: `on:all:${hashOf(all)}` });
      own.clear();
    }
  }
  return { wanted, met: [...standing.values()].flatMap((own) => [...own.values()]) };
}

/** Whether a condition of the workflow comes true by it. */
export function concerns({ conditions }: Subscriber, { cause }: Happening): boolean {
  return conditions.some((condition) => comesTrue(condition, cause));
}

function comesTrue(condition: OnCondition, cause: Cause): boolean {
  if (condition.kind === 'asset') return cause.kind === 'asset' && cause.asset === condition.asset;
  if (cause.kind !== 'run' || cause.workflow !== condition.workflow) return false;
  return condition.state === 'any' || condition.state === cause.state;
}

function nameOf(condition: OnCondition): string {
  return condition.kind === 'asset'
    ? `asset:${condition.asset}`
    : `run:${condition.state}:${condition.workflow}`;
}

function hashOf(met: readonly { event_key: string }[]): string {
  const keys = met.map(({ event_key }) => event_key).sort();
  return createHash('sha256').update(JSON.stringify(keys)).digest('hex').slice(0, 40);
}
