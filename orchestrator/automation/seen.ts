/**
 * Which versions of upstreams an asset was made from, or was asked for because of. A version says what it was made
 * from; where it does not (data of other systems), what was recorded before its run began counts as seen.
 */
import type { EpochMs } from '../../domain/time.ts';
import { isPacked } from '../assets/partitions/inputs.ts';
import { timeOf } from '../retention/id-range.ts';
import type { Memory, OwnFacts, UpstreamFacts, VersionFact } from './facts.ts';

/** Stands for a version that is older than the present one. */
const OLDER = 'older';

/** The memory after a look at the versions: what was noticed of new ones. */
export function noticeVersions(
  memory: Memory,
  own: OwnFacts,
  upstreams: readonly UpstreamFacts[],
  now: EpochMs,
): Memory {
  // A moment that has not come: clocks went back since. What is done with stays so, and the next ticks count.
  const handled = Math.min(memory.handledAt, now);
  const settled = settleRuns(memory.seen, upstreams);
  if (own.marker === null) {
    const gone = memory.own !== null && memory.own !== undefined;
    return {
      ...memory,
      ...{ seen: settled, handledAt: handled, own: null },
      // What was there and is gone is missing anew.
      ...(gone ? { missingAsked: false, request: null } : {}),
    };
  }
  if (memory.own === own.marker) return { ...memory, seen: settled, handledAt: handled };
  const seen: Record<string, string> = { ...settled };
  for (const upstream of upstreams) {
    const read = seenOf(own, upstream);
    if (read === null) seen[upstream.key] ??= OLDER;
    else seen[upstream.key] = read;
  }
  return {
    ...memory,
    ...{ seen, own: own.marker, missingAsked: false },
    handledAt: Math.max(handled, Math.min(now, begunAt(own))),
    // What was asked for is there, or something newer.
    ...(memory.own === undefined ? {} : { failures: 0 }),
  };
}

/** What was seen as what a run makes, and that run has made by now, is seen by its marker. */
function settleRuns(seen: Memory['seen'], upstreams: readonly UpstreamFacts[]): Memory['seen'] {
  const settled = upstreams.flatMap(({ key, marker, runId }) =>
    marker !== null && runId !== null && promised(seen[key])?.runId === runId
      ? [[key, marker]]
      : [],
  );
  return settled.length === 0 ? seen : { ...seen, ...Object.fromEntries(settled) };
}

/** Stands for the version that a run will make, in place of the one that there is. */
export function promise(runId: string, marker: string | null): string {
  return `run:${runId}:${marker ?? ''}`;
}

function promised(seen: string | undefined): { runId: string; before: string } | null {
  const [, runId, before] = /^run:([^:]*):(.*)$/.exec(seen ?? '') ?? [];
  return runId === undefined || before === undefined ? null : { runId, before };
}

/** Marker of the upstream's version that the newest own version was made from; null where that is not known. */
function seenOf(own: OwnFacts, upstream: UpstreamFacts): string | null {
  const { marker } = upstream;
  if (marker === null) return null;
  const read = own.inputs?.filter(([key]) => key === upstream.key) ?? [];
  const [first] = read;
  if (first && (upstream.whole || isPacked(first))) {
    const newest =
      read
        .map(([, , id]) => id)
        .sort()
        .at(-1) ?? '';
    return marker <= newest ? marker : OLDER;
  }
  if (first) {
    const ids = new Map(read.map((input) => [input[1] ?? '', input]));
    const isSame = upstream.versions.every(([partition, id, dataVersion]) => {
      const input = ids.get(partition ?? '') ?? (ids.size === 1 ? first : undefined);
      // A fallback is a copy of the version that it stands for.
      return input !== undefined && (input[2] === id || input[3] === dataVersion);
    });
    return isSame ? marker : OLDER;
  }
  if (upstream.runId !== null && upstream.runId === own.runId) return marker;
  return upstream.recordedAt !== null && upstream.recordedAt <= begunAt(own) ? marker : null;
}

/** When the run began to be that made a version; of one without a run, when it was recorded. */
export function begunAt({ runId, recordedAt }: VersionFact): EpochMs {
  return runId === null ? (recordedAt ?? 0) : Math.min(timeOf(runId), recordedAt ?? Infinity);
}

/** Whether an upstream has another version than the one that was seen. */
export function isUpdated(memory: Memory, { key, marker, runId }: UpstreamFacts): boolean {
  if (marker === null) return false;
  const seen = memory.seen[key];
  const run = promised(seen);
  return run ? run.before !== marker && run.runId !== runId : seen !== marker;
}

/** Whether the run that was requested last has ended without making it. */
export function hasNotMade({ request }: Memory, own: OwnFacts): boolean {
  if (request === null || request.own !== own.marker || own.inProgress !== null) return false;
  if (own.failed !== null && own.failed.runId === request.runId) return true;
  return own.requestEnded === 'failed' || own.requestEnded === 'cancelled';
}

/** Counts a request whose run did not make it, once. */
export function noticeFailure(memory: Memory, own: OwnFacts, now: EpochMs): Memory {
  const runId = memory.request?.runId;
  if (runId === undefined || memory.failedRun === runId || !hasNotMade(memory, own)) return memory;
  return { ...memory, failures: memory.failures + 1, failedAt: now, failedRun: runId };
}
