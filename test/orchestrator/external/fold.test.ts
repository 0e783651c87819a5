import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ExternalRunEvent } from '../../../domain/events.ts';
import { type FoldedRun, foldEvent } from '../../../orchestrator/external/fold.ts';

const BORN: FoldedRun = {
  id: 'id',
  engine: 'openlineage:test',
  externalId: 'r',
  workflow: 'job',
  state: 'running',
  parameters: {},
  logicalDate: null,
  businessKey: '',
  parentRunId: null,
  inputs: [],
  outputs: [],
  createdAt: 1_000,
  startedAt: null,
  finishedAt: null,
  error: null,
};

const keys = fc.uniqueArray(fc.constantFrom('db/a', 'db/b', 'db/c'));
const anyEvent: fc.Arbitrary<ExternalRunEvent> = fc
  .record({
    state: fc.constantFrom('running', 'running', 'succeeded', 'failed', 'cancelled'),
    at: fc.integer({ min: 0, max: 20 }),
    logicalDate: fc.option(fc.constantFrom(100, 200)),
    parameters: fc.constantFrom({}, { a: 1 }, { a: 2 }),
    inputs: keys,
    outputs: keys,
  })
  .map(({ outputs, ...event }) => ({
    ...event,
    engine: BORN.engine,
    externalId: 'r',
    job: 'job',
    parent: null,
    root: null,
    outputs: outputs.map((assetKey) => ({ assetKey, rowCount: null, metadata: {}, checks: [] })),
    error: null,
    owners: [],
    businessKey: '',
  }));

function fold(events: readonly ExternalRunEvent[]): FoldedRun {
  return events.reduce((run, event) => foldEvent(run, event, null), BORN);
}

test('events in any order, some of them twice, give the same run', () => {
  const shuffled = fc
    .array(anyEvent, { minLength: 1, maxLength: 7 })
    .chain((events) =>
      fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length })),
    );
  fc.assert(
    fc.property(shuffled, ([events, other]) => {
      expect(fold([...other, ...other.slice(0, 2)])).toEqual(fold(events));
    }),
    { numRuns: 500 },
  );
});

test('an event that was folded before leaves the very same run', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 7 }), (events) => {
      const run = fold(events);
      for (const event of events) expect(foldEvent(run, event, null)).toBe(run);
    }),
  );
});

test('an end is never taken back', () => {
  fc.assert(
    fc.property(fc.array(anyEvent, { minLength: 1, maxLength: 7 }), (events) => {
      const ends = events.filter((event) => event.state !== 'running');
      const run = fold(events);
      expect(run.state === 'running').toBe(ends.length === 0);
      expect(run.finishedAt).toBe(
        ends.length === 0 ? null : Math.max(...ends.map((event) => event.at)),
      );
    }),
  );
});
