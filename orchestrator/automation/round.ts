/**
 * Looks at many assets at one moment, upstreams first: what is asked for counts as coming for all that lies below, so
 * that a chain that becomes due together is made by one run. Pure.
 */
import { inDependencyOrder } from '../assets/order.ts';
import { type Decided, decide } from './decide.ts';
import type { Subject } from './facts.ts';

/** An asset that could not be looked at. */
export interface Failed {
  readonly key: string;
  readonly message: string;
}

export function failedBy(key: string, error: unknown): Failed {
  return { key, message: error instanceof Error ? error.message : String(error) };
}

/** An asset with its partitions, as far as they are looked at. */
export interface AssetLook {
  readonly key: string;
  readonly subjects: readonly Subject[];
  /** Partitions of it that any run is making now. */
  readonly underWay: number;
}

export interface Round {
  readonly decided: readonly Decided[];
  readonly failed: readonly Failed[];
  /** Partitions by asset that are asked for ('' for one whole). */
  readonly requested: ReadonlyMap<string, ReadonlySet<string>>;
}

/** When what is beyond the limit of a round is looked at again, unless something happens before. */
const LIMITED_MS = 5_000;

export function lookAtAll(looks: readonly AssetLook[], now: number): Round {
  const byKey = new Map(looks.map((look) => [look.key, look]));
  const edges = looks.flatMap(({ key, subjects }) =>
    upstreamsOf(subjects).map((upstream) => ({ upstream, downstream: key })),
  );
  const decided: Decided[] = [];
  const failed: Failed[] = [];
  const requested = new Map<string, Set<string>>();
  for (const key of inDependencyOrder([...byKey.keys()], edges)) {
    const look = byKey.get(key);
    if (!look) continue;
    try {
      const own = lookAtOne(look, now, requested);
      decided.push(...own);
      const asked = own.filter(({ decision }) => decision === 'requested');
      if (asked.length > 0) {
        requested.set(key, new Set(asked.map(({ subject }) => subject.partition ?? '')));
      }
    } catch (error) {
      failed.push(failedBy(key, error));
    }
  }
  return { decided, failed, requested };
}

function upstreamsOf(subjects: readonly Subject[]): readonly string[] {
  const [first] = subjects;
  return first ? first.upstreams.map(({ key }) => key) : [];
}

/** The oldest partition first, as many as may be under way. */
function lookAtOne(
  { subjects, underWay }: AssetLook,
  now: number,
  requested: Round['requested'],
): readonly Decided[] {
  const limit = subjects[0]?.definition.maxPartitionsPerRound ?? 1;
  let room = subjects[0]?.partition == null ? Number.POSITIVE_INFINITY : limit - underWay;
  return subjects.map((subject) => {
    const found = decide(subject, now, requested);
    if (found.decision !== 'requested') return found;
    room -= 1;
    return room >= 0 ? found : beyondLimit(found, limit, now);
  });
}

function beyondLimit(found: Decided, limit: number, now: number): Decided {
  const message = `waits for room: automation has ${limit} partitions of it under way at a time (maxPartitionsPerRound)`;
  return {
    ...found,
    ...{ decision: 'held', cause: null, joins: [], againAt: now + LIMITED_MS },
    reason: { code: 'round-limit', message },
    memory: { ...found.memory, requestedLast: false },
  };
}
