import { describe, expect, it } from 'vitest';
import {
  backfillRequest,
  EMPTY_BACKFILL,
  planLine,
} from '../../console/src/pages/workflow/backfill-draft.ts';
import { expectedWords } from '../../console/src/pages/workflow/expected-words.ts';
import {
  fieldsOf,
  parametersOf,
  parametersOfJson,
} from '../../console/src/pages/workflow/fields.ts';
import { adviceFor, placeFaults } from '../../console/src/parts/placed-faults.ts';
import { signOfExpected, signOfSensor } from '../../console/src/parts/sign-of.ts';
import type { ExpectedRun } from '../../domain/schedule.ts';

describe('fields of parameters', () => {
  const fields =
    fieldsOf({
      properties: {
        day: { type: 'string', format: 'date' },
        n: { type: 'integer', minimum: 1, maximum: 9 },
        tables: { type: 'array', default: ['orders'] },
        'a/b': {},
      },
    }) ?? [];

  it('are of their kind, and JSON only where one parameter needs it', () => {
    expect(fields.map(({ kind }) => kind)).toEqual(['date', 'number', 'json', 'json']);
    expect(fields[1]?.description).toBe('1 to 9');
    expect(parametersOf(fields, { n: '3' }).parameters).toEqual({ n: 3, tables: ['orders'] });
  });

  it('leave what is no number to the server, which says what it should be', () => {
    expect(parametersOf(fields, { n: 'three' }).parameters['n']).toBe('three');
  });

  it('tell at its path what is no JSON', () => {
    const { faults } = parametersOf(fields, { tables: '[', 'a/b': 'x' });
    expect(faults.map(({ path }) => path)).toEqual(['/tables', '/a~1b']);
    expect(parametersOfJson('[1]').faults).toHaveLength(1);
    expect(parametersOfJson('{"n":1}')).toEqual({ parameters: { n: 1 }, faults: [] });
  });
});

describe('a refused form', () => {
  const names = ['parameters/n', 'parameters/a/b', 'priority'];

  it('shows each fault at the field that its path names', () => {
    const fields = [
      { path: '/n', message: 'must be integer' },
      { path: '/a~1b', message: 'is missing' },
      { path: '/other', message: 'is not known' },
    ];
    const placed = placeFaults({ code: 'invalid-parameters', fields }, names);
    expect(placed.at).toEqual({
      'parameters/n': ['must be integer'],
      'parameters/a/b': ['is missing'],
    });
    expect(placed.rest).toEqual([{ path: '/other', message: 'is not known' }]);
  });

  it('tells faults within a field with their place in it', () => {
    const fields = [
      { path: '/parameters/n/0/x', message: 'must be string' },
      { path: '/priority', message: 'must be <= 1000' },
    ];
    const placed = placeFaults({ code: 'invalid-request', fields }, names);
    expect(placed.at['parameters/n']).toEqual(['0/x must be string']);
    expect(placed.at['priority']).toEqual(['must be <= 1000']);
    expect(adviceFor(placed, 'the server’s')).toMatch(/marked/);
  });

  it('keeps the advice of the server where no field is meant', () => {
    expect(adviceFor(placeFaults({ code: 'conflict' }, names), 'Wait.')).toBe('Wait.');
  });
});

describe('a backfill', () => {
  it('leaves what is empty to the server', () => {
    const form = { ...EMPTY_BACKFILL, from: '2026-01-01', to: '2026-01-31' };
    expect(backfillRequest(form, {})).toEqual({
      ...{ from: '2026-01-01', to: '2026-01-31', order: 'oldest-first', rerun: 'missing' },
    });
    expect(backfillRequest({ ...form, concurrency: '8', every: '1h' }, { n: 1 })).toMatchObject({
      ...{ concurrency: 8, every: '1h', parameters: { n: 1 } },
    });
  });

  it('says in one line what it would do', () => {
    const plan = { workflow: 'w', from: '', to: '', items: [], toRun: 1, toSkip: 2, notOver: 0 };
    expect(planLine(plan)).toBe('1 run would be made, 2 intervals left alone');
    expect(planLine({ ...plan, toRun: 0, toSkip: 0 })).toBe('Nothing would run');
  });
});

describe('what became of due runs', () => {
  const due = (of: Partial<ExpectedRun>): ExpectedRun => ({
    ...{ workflow: 'w', logicalDate: '2026-01-01T00:00:00Z', dueAt: '', noticedAt: '' },
    ...{ dataInterval: { start: '', end: '' }, runId: null, sinceLogicalDate: null },
    ...{ outcome: 'skipped', reason: 'overlap' },
    ...of,
  });

  it('tells a run that never came from one that its own policy was against', () => {
    expect(signOfExpected(due({}))).toBe('off');
    expect(signOfExpected(due({ outcome: 'missed', reason: 'scheduler-down' }))).toBe('danger');
    expect(signOfExpected(due({ outcome: 'dropped', reason: 'catchup-limit' }))).toBe('caution');
    expect(signOfExpected(due({ outcome: 'run', reason: null }))).toBe('clear');
  });

  it('says why, for how many, and whether it was made good', () => {
    expect(expectedWords(due({}))).toMatch(/overlap: skip/);
    expect(
      expectedWords(due({ reason: 'paused', events: 3, madeGood: { at: '', runId: 'r' } })),
    ).toBe('the workflow was paused · 3 events · made good by a backfill since');
  });
});

describe('a sensor', () => {
  const sensor = {
    ...{ paused: false, failures: 0, looking: false, kind: 'poll' as const },
    lastLookAt: '2026-01-01T00:00:00Z',
  };

  it('that failed is in danger, and one that never looked is not drawn as healthy', () => {
    expect(signOfSensor({ ...sensor, failures: 2 }).sign).toBe('danger');
    expect(signOfSensor({ ...sensor, lastLookAt: null }).sign).toBe('unknown');
    expect(signOfSensor({ ...sensor, paused: true, failures: 2 }).word).toBe('paused');
  });
});
