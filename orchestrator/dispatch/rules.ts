/**
 * Whether a task starts, given how the tasks before it ended: Airflow's trigger rules. A rule is asked only when an
 * end may decide it, and counts its upstreams once; while one is still under way, a place that is kept for each task
 * finds it without looking at the others. So a fan-in of ten thousand costs ten thousand looks in all.
 */
import type { TriggerRule } from '../../domain/trigger-rule.ts';
import type { GraphTask } from '../catalog/graph.ts';
import type { Version } from '../runs/versions.ts';
import {
  FAILED,
  isEnded,
  isFailure,
  isSkip,
  SKIPPED,
  SUCCEEDED,
  UPSTREAM_FAILED,
} from './task-codes.ts';

/** What a rule says: the task starts, waits, or ends as this without having run. */
export type Verdict = 'start' | 'wait' | typeof SKIPPED | typeof UPSTREAM_FAILED;

/** How the upstreams of a task stand. */
interface Counts {
  readonly all: number;
  ended: number;
  succeeded: number;
  /** Failed, cancelled or upstream-failed. */
  failed: number;
  /** Those of them that ran. */
  ran: number;
  skipped: number;
}

type Rule = TriggerRule | 'teardown';

const JUDGES: Readonly<Record<TriggerRule, (counts: Counts) => Verdict>> = {
  'all-succeeded': (counts) => {
    if (counts.failed > 0) return UPSTREAM_FAILED;
    return counts.skipped > 0 ? SKIPPED : whenOver(counts);
  },
  'all-done': (counts) => whenOver(counts),
  'all-failed': (counts) => (counts.succeeded + counts.skipped > 0 ? SKIPPED : whenOver(counts)),
  'one-succeeded': (counts) => {
    if (counts.succeeded > 0) return 'start';
    return whenOver(counts, counts.failed > 0 ? UPSTREAM_FAILED : SKIPPED);
  },
  'one-failed': (counts) => (counts.failed > 0 ? 'start' : whenOver(counts, SKIPPED)),
  'one-done': (counts) => (counts.ran > 0 ? 'start' : whenOver(counts, SKIPPED)),
  'none-failed': (counts) => (counts.failed > 0 ? UPSTREAM_FAILED : whenOver(counts)),
  'none-failed-min-one-succeeded': (counts) => {
    if (counts.failed > 0) return UPSTREAM_FAILED;
    return whenOver(counts, counts.succeeded > 0 ? 'start' : SKIPPED);
  },
  'none-skipped': (counts) => (counts.skipped > 0 ? SKIPPED : whenOver(counts)),
  'all-skipped': (counts) => (counts.succeeded + counts.failed > 0 ? SKIPPED : whenOver(counts)),
  'all-done-min-one-succeeded': (counts) => {
    if (counts.succeeded > 0) return whenOver(counts);
    return whenOver(counts, counts.failed > 0 ? UPSTREAM_FAILED : SKIPPED);
  },
  always: () => 'start',
};

function whenOver(
  { ended, all }: Pick<Counts, 'ended' | 'all'>,
  verdict: Verdict = 'start',
): Verdict {
  return ended === all ? verdict : 'wait';
}

/** Ends of an upstream that may decide a rule while others are under way. */
const DECISIVE: Readonly<Record<Rule, (code: number) => boolean>> = {
  'all-succeeded': (code) => code !== SUCCEEDED,
  'all-done': () => false,
  'all-failed': (code) => !isFailure(code),
  'one-succeeded': (code) => code === SUCCEEDED,
  'one-failed': isFailure,
  'one-done': (code) => code === SUCCEEDED || isFailure(code),
  'none-failed': isFailure,
  'none-failed-min-one-succeeded': isFailure,
  'none-skipped': isSkip,
  'all-skipped': (code) => !isSkip(code),
  'all-done-min-one-succeeded': () => false,
  always: () => true,
  teardown: () => false,
};

function ruleOf(version: Version, task: number): Rule {
  const found = version.tasks[task];
  if (found?.teardown) return 'teardown';
  return found?.triggerRule ?? 'all-succeeded';
}

/** What the rule of a pending task says after an upstream of it has ended. */
export function judgeAfter(
  version: Version,
  vector: Uint8Array,
  task: number,
  upstream: number,
): Verdict {
  const found = version.tasks[task];
  if (vector[upstream] === SUCCEEDED && found && isPlain(found)) {
    return judgePlain(version, vector, task);
  }
  const decisive =
    DECISIVE[ruleOf(version, task)](vector[upstream] ?? 0) || found?.map?.over === upstream;
  if (!decisive && someUnderWay(version, vector, task)) return 'wait';
  return judge(version, vector, task);
}

/** Nearly every task: it needs the success of all before it, and nothing else. */
function isPlain({ triggerRule, teardown, map }: GraphTask): boolean {
  return triggerRule === undefined && teardown === undefined && map === undefined;
}

/** As `judge` after a success, in one look; begins where the last one found an upstream that had not succeeded. */
function judgePlain(version: Version, vector: Uint8Array, task: number): Verdict {
  const gates = version.gates[task] ?? [];
  let place = version.places[task] ?? 0;
  for (let looked = 0; looked < gates.length; looked += 1) {
    if (place >= gates.length) place = 0;
    const code = vector[gates[place] ?? 0] ?? 0;
    if (code !== SUCCEEDED) {
      version.places[task] = place;
      return isEnded(code) ? judge(version, vector, task) : 'wait';
    }
    place += 1;
  }
  return 'start';
}

/** What the rule of a pending task says. Looks at all its upstreams. */
export function judge(version: Version, vector: Uint8Array, task: number): Verdict {
  const rule = ruleOf(version, task);
  const gates = version.gates[task] ?? [];
  const counts: Counts = {
    all: gates.length,
    ended: 0,
    succeeded: 0,
    failed: 0,
    ran: 0,
    skipped: 0,
  };
  for (const upstream of gates) {
    const code = vector[upstream] ?? 0;
    if (!isEnded(code)) continue;
    counts.ended += 1;
    if (code === SUCCEEDED) counts.succeeded += 1;
    else if (isSkip(code)) counts.skipped += 1;
    else counts.failed += 1;
    if (code === SUCCEEDED || code === FAILED) counts.ran += 1;
  }
  const verdict = verdictOf(version, vector, task, rule, counts);
  return verdict === 'start' ? judgeList(version, vector, task) : verdict;
}

function verdictOf(
  version: Version,
  vector: Uint8Array,
  task: number,
  rule: Rule,
  counts: Counts,
): Verdict {
  if (rule === 'teardown') return judgeTeardown(version, vector, task, counts);
  return counts.all === 0 ? 'start' : JUDGES[rule](counts);
}

/** A mapped task needs its list, whatever its rule says. */
function judgeList(version: Version, vector: Uint8Array, task: number): Verdict {
  const map = version.tasks[task]?.map;
  if (!map) return 'start';
  const code = vector[map.over] ?? 0;
  if (!isEnded(code)) return 'wait';
  if (code === SUCCEEDED) return 'start';
  return isSkip(code) ? SKIPPED : UPSTREAM_FAILED;
}

/** There is something to tidy up once one of its setups has succeeded; without setups, once anything has run. */
function judgeTeardown(
  version: Version,
  vector: Uint8Array,
  task: number,
  counts: Counts,
): Verdict {
  if (counts.ended < counts.all) return 'wait';
  const setups = version.tasks[task]?.teardown?.setups ?? [];
  if (setups.length === 0) {
    if (counts.all === 0 || counts.ran > 0) return 'start';
    return counts.failed > 0 ? UPSTREAM_FAILED : SKIPPED;
  }
  const codes = setups.map((setup) => vector[setup] ?? 0);
  if (codes.includes(SUCCEEDED)) return 'start';
  return codes.some(isFailure) ? UPSTREAM_FAILED : SKIPPED;
}

/** Whether an upstream of the task has not ended; begins to look where the last one was found. */
function someUnderWay(version: Version, vector: Uint8Array, task: number): boolean {
  const gates = version.gates[task] ?? [];
  let place = version.places[task] ?? 0;
  for (let looked = 0; looked < gates.length; looked += 1) {
    if (place >= gates.length) place = 0;
    if (!isEnded(vector[gates[place] ?? 0] ?? 0)) {
      version.places[task] = place;
      return true;
    }
    place += 1;
  }
  return false;
}
