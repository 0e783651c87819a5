/**
 * What each operand says of an asset, and why. `cause` names what made a trigger true: an asset is asked for once for
 * each cause. Operands that only hold back have none.
 */
import type { AutomationCondition, UpstreamChoice } from '../../domain/automation.ts';
import { toRfc3339 } from '../../domain/time.ts';
import { previousInstant } from '../schedule/cron.ts';
import { cronName, isChosen } from './condition.ts';
import { failedOf, type Memory, type OwnFacts, type Subject, type UpstreamFacts } from './facts.ts';
import { begunAt, isUpdated } from './seen.ts';
import { moment } from './words.ts';

/** What an operand found. */
export interface Found {
  readonly met: boolean;
  readonly detail: string;
  readonly evidence?: Readonly<Record<string, unknown>>;
  /** What made it true; absent for one that only holds back. */
  readonly cause?: string;
  /** The upstream that it is about first. */
  readonly upstream?: string;
  readonly runId?: string;
}

/** What is looked at, and what this round has asked for so far. */
export interface Look {
  readonly subject: Subject;
  /** The memory with new versions noticed, and as it was before. */
  readonly memory: Memory;
  readonly before: Memory;
  readonly now: number;
  /** Partitions by asset that the same round requests ('' for one whole). */
  readonly requested: ReadonlyMap<string, ReadonlySet<string>>;
}

type Operand = Exclude<
  AutomationCondition,
  { kind: 'all' | 'any' | 'not' | 'newly-true' | 'since' }
>;

/** Names at most so many upstreams in a sentence. */
const MAX_NAMED = 5;

export function lookAt(operand: Operand, look: Look): Found {
  switch (operand.kind) {
    case 'any-upstream-updated':
      return anyUpdated(operand, look);
    case 'all-upstreams-updated-since':
      return allUpdatedSince(operand, look);
    case 'cron-tick':
      return cronTick(operand, look);
    case 'any-upstream-missing':
      return anyMissing(chosen(operand, look), look);
    case 'any-upstream-in-progress':
      return anyInProgress(chosen(operand, look));
    case 'any-upstream-failed':
      return anyFailed(chosen(operand, look), look);
    case 'any-upstream-check-failed':
      return anyCheckFailed(chosen(operand, look));
    default:
      return ownFact(operand.kind, look);
  }
}

function chosen(choice: UpstreamChoice, { subject }: Look): readonly UpstreamFacts[] {
  return subject.upstreams.filter(({ key }) => isChosen(choice, key));
}

/** Whether the same round asks for what is needed of an upstream. */
export function isRequested({ key, partitions }: UpstreamFacts, { requested }: Look): boolean {
  const keys = requested.get(key);
  if (!keys) return false;
  return partitions === null || partitions.some((one) => keys.has(one));
}

function anyUpdated(choice: UpstreamChoice, look: Look): Found {
  const { memory, subject } = look;
  const of = chosen(choice, look);
  const coming = of.filter((one) => isRequested(one, look));
  const updated = of.filter((one) => !coming.includes(one) && isUpdated(memory, one));
  const all = [...coming, ...updated];
  if (all.length === 0) {
    const since = begunAt(subject.own);
    return {
      met: false,
      detail:
        of.length === 0
          ? 'it has no upstream'
          : subject.own.marker === null
            ? memory.request === null
              ? 'no upstream has a version yet'
              : 'no upstream was updated since it was asked for'
            : `no upstream was updated since what it was made from (${moment(since)})`,
    };
  }
  const words = [
    ...coming.map(({ key }) => `${key} is made in the same run`),
    ...updated.map(({ key, recordedAt }) => `${key} was updated ${moment(recordedAt ?? 0)}`),
  ];
  return {
    met: true,
    detail: named(words),
    evidence: {
      upstreams: all.slice(0, MAX_NAMED).map((one) => ({
        asset: one.key,
        version: one.marker,
        at: toRfc3339(one.recordedAt),
        runId: one.runId,
        inSameRun: coming.includes(one),
      })),
    },
    cause: `updated:${[
      ...coming.map(({ key, marker }) => `${key}=after ${marker}`),
      ...updated.map(({ key, marker }) => `${key}=${marker}`),
    ]
      .sort()
      .join(',')}`,
  };
}

function allUpdatedSince(
  operand: Extract<Operand, { kind: 'all-upstreams-updated-since' }>,
  look: Look,
): Found {
  const tick = lastTick(operand, look);
  const of = chosen(operand, look);
  if (tick === null) return { met: false, detail: 'the cron has had no tick yet' };
  const late = of.filter(
    (one) => !isRequested(one, look) && (one.recordedAt === null || one.recordedAt < tick),
  );
  const [first] = late;
  const evidence = {
    tick: toRfc3339(tick),
    waitsFor: late.slice(0, MAX_NAMED).map(({ key, recordedAt }) => {
      return { asset: key, updatedAt: toRfc3339(recordedAt) };
    }),
  };
  if (!first) {
    return { met: true, detail: `all were updated since the tick of ${moment(tick)}`, evidence };
  }
  const words = late.map(({ key, recordedAt, known }) =>
    recordedAt === null
      ? `${key} ${known ? 'was never made' : 'is not known'}`
      : `${key} was last updated ${moment(recordedAt)}`,
  );
  return {
    met: false,
    detail: `not updated since the tick of ${moment(tick)}: ${named(words)}`,
    ...{ evidence, upstream: first.key },
  };
}

function lastTick(of: { cron: string; timezone: string }, { now }: Look): number | null {
  return previousInstant(of, now + 1);
}

function cronTick(operand: Extract<Operand, { kind: 'cron-tick' }>, look: Look): Found {
  const { subject, memory, now } = look;
  const tick = lastTick(operand, look);
  const from = Math.max(memory.handledAt, subject.crons[cronName(operand)] ?? now);
  if (tick === null || tick <= from) {
    return {
      met: false,
      detail: 'no tick since it was last asked for, made or declared',
      evidence: { lastTick: toRfc3339(tick) },
    };
  }
  return {
    met: true,
    detail: `the tick of ${moment(tick)} is not done with`,
    evidence: { tick: toRfc3339(tick) },
    cause: `tick:${cronName(operand)}:${tick}`,
  };
}

function anyMissing(of: readonly UpstreamFacts[], look: Look): Found {
  const gone = of.filter((one) => one.missing !== null && !isRequested(one, look));
  const [first] = gone;
  if (!first) return { met: false, detail: 'all upstreams are there' };
  const words = gone.map(({ key, missing, known, madeElsewhere }) => {
    if (!known) return `${key} is not known: nobody declares, makes or reports it`;
    const what = missing === '' ? key : `${key} (partition ${missing})`;
    return madeElsewhere
      ? `${what} is made elsewhere, and nobody has told of a version yet`
      : `${what} was never made`;
  });
  return {
    ...{ met: true, detail: named(words), upstream: first.key },
    evidence: {
      upstreams: gone
        .slice(0, MAX_NAMED)
        .map(({ key, missing }) => ({ asset: key, partition: missing || null })),
    },
  };
}

export function anyInProgress(of: readonly UpstreamFacts[]): Found {
  const busy = of.flatMap(({ key, inProgress }) => (inProgress ? [{ key, ...inProgress }] : []));
  const [first] = busy;
  if (!first) return { met: false, detail: 'no upstream is in progress' };
  const words = busy.map(
    ({ key, runId, since }) => `${key}, in progress in run ${runId} since ${moment(since)}`,
  );
  return {
    ...{ met: true, detail: named(words), upstream: first.key, runId: first.runId },
    evidence: {
      upstreams: busy.slice(0, MAX_NAMED).map(({ key, runId, since }) => {
        return { asset: key, runId, since: toRfc3339(since) };
      }),
    },
  };
}

export function inProgress({ inProgress: run }: OwnFacts): Found {
  if (run === null) return { met: false, detail: 'no run makes it now' };
  const { runId, since } = run;
  return { met: true, detail: `in progress in run ${runId} since ${moment(since)}`, runId };
}

export function anyFailed(of: readonly UpstreamFacts[], look: Look): Found {
  const bad = of.flatMap((one) =>
    one.failed && !isRequested(one, look) ? [{ key: one.key, ...one.failed }] : [],
  );
  const [first] = bad;
  if (!first) return { met: false, detail: 'no upstream has failed' };
  const words = bad.map(
    ({ key, at, runId, message }) =>
      `${key}, which failed ${moment(at)}${runId ? ` in run ${runId}` : ''} (${message})`,
  );
  return {
    ...{ met: true, detail: named(words), upstream: first.key },
    ...(first.runId === null ? {} : { runId: first.runId }),
    evidence: {
      upstreams: bad.slice(0, MAX_NAMED).map(({ key, at, runId, message }) => {
        return { asset: key, at: toRfc3339(at), runId, error: message };
      }),
    },
  };
}

function anyCheckFailed(of: readonly UpstreamFacts[]): Found {
  const bad = of.flatMap(({ key, failedChecks }) => failedChecks.map((one) => ({ key, ...one })));
  const [first] = bad;
  if (!first) return { met: false, detail: 'no check of an upstream says that it failed' };
  return {
    ...{ met: true, upstream: first.key },
    detail: named(bad.map(({ key, name, at }) => `${name} of ${key} failed ${moment(at)}`)),
    cause: `checks:${bad.map(({ key, name, at }) => `${key}/${name}@${at}`).join(',')}`,
  };
}

function ownFact(kind: string, { subject, memory, before }: Look): Found {
  const { own } = subject;
  const never = own.marker === null;
  const made = () => `it was made ${moment(own.recordedAt ?? 0)}`;
  switch (kind) {
    case 'missing':
      return {
        ...{ met: never, detail: never ? 'it was never made' : made() },
        cause: 'missing',
      };
    case 'newly-missing':
      if (!never) return { met: false, detail: made() };
      return memory.missingAsked
        ? { met: false, detail: 'it is missing, and was asked for already' }
        : { met: true, detail: 'it was never made', cause: 'missing' };
    case 'newly-updated': {
      const met = !never && before.own !== undefined && before.own !== own.marker;
      return { met, detail: never ? 'it was never made' : made(), cause: `made:${own.marker}` };
    }
    case 'newly-requested':
      return { met: before.requestedLast, detail: requestWords(memory) };
    case 'in-progress':
      return inProgress(own);
    case 'failed':
      return own.failed
        ? {
            met: true,
            detail: `it failed ${moment(own.failed.at)}${own.failed.runId ? ` in run ${own.failed.runId}` : ''} (${own.failed.message})`,
            cause: `failed:${own.failed.runId ?? own.failed.at}`,
          }
        : { met: false, detail: 'its last attempt did not fail' };
    case 'initial': {
      const met = before.hash !== subject.hash;
      return {
        met,
        detail: met ? 'nobody has looked under this condition before' : 'it was looked at before',
        cause: `initial:${subject.hash}`,
      };
    }
    default:
      return qualityFact(kind, subject);
  }
}

function requestWords({ request }: Memory): string {
  return request ? `requested ${moment(request.at)}, run ${request.runId}` : 'never requested';
}

function qualityFact(kind: string, { own, upstreams }: Subject): Found {
  switch (kind) {
    case 'code-version-changed': {
      const { codeVersion: now, madeByCode: then } = own;
      const met = now !== null && then !== null && now !== then;
      return { met, detail: codeWords(own, met), cause: `code:${now}` };
    }
    case 'stale': {
      const markers = new Map(upstreams.map(({ key, marker }) => [key, marker]));
      const causes = own.stale.map(
        ({ reason, upstream, partition }) =>
          `${reason}/${upstream ?? ''}/${partition ?? ''}/${markers.get(upstream ?? '') ?? own.codeVersion ?? ''}`,
      );
      return {
        met: own.stale.length > 0,
        detail: named(own.stale.map(({ detail }) => detail)) || 'nothing makes it stale',
        cause: `stale:${causes.sort().join(',')}`,
      };
    }
    case 'freshness-failing':
      return {
        met: own.freshness === 'stale',
        detail: `its freshness is ${own.freshness}`,
        cause: `freshness:${own.marker}`,
      };
    case 'checks-passed': {
      const bad = failedOf(own.checks);
      return {
        met: bad.length === 0,
        detail:
          bad.length === 0
            ? 'no check says that it failed'
            : named(bad.map(({ name, at }) => `${name} failed ${moment(at)}`)),
      };
    }
    default:
      throw new Error(`${kind} is no operand that is known here`);
  }
}

function codeWords({ marker, codeVersion, madeByCode }: OwnFacts, isOther: boolean): string {
  if (isOther) return `its code is version ${codeVersion}, it was made by ${madeByCode}`;
  if (marker === null) return 'it was never made';
  return codeVersion === null || madeByCode === null
    ? 'nobody told which code made it'
    : 'its code is that which made it';
}

function named(words: readonly string[]): string {
  const more = words.length - MAX_NAMED;
  return `${words.slice(0, MAX_NAMED).join('; ')}${more > 0 ? `; and ${more} more` : ''}`;
}
