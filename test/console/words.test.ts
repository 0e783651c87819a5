import { describe, expect, it } from 'vitest';
import { matchEntries } from '../../console/src/frame/match.ts';
import { stateLine } from '../../console/src/pages/overview/state-line.ts';
import { fieldsOf, parametersOf } from '../../console/src/pages/workflow/fields.ts';
import {
  formatAge,
  formatCount,
  formatFact,
  formatNumber,
  formatSettings,
  formatSpan,
  formatStopwatch,
  formatTime,
  shortId,
} from '../../console/src/parts/format.ts';
import {
  signOfIncident,
  signOfPartition,
  signOfPool,
  worstSign,
} from '../../console/src/parts/sign-of.ts';
import { sparkPath } from '../../console/src/parts/spark-path.ts';
import { parseRoute, paths, withQuery } from '../../console/src/routes.ts';
import type { Asset } from '../../domain/asset.ts';
import type { Incident } from '../../domain/incident.ts';

const HOUR = 3_600_000;

describe('times and numbers', () => {
  it.each([
    [420, '420 ms'],
    [1_234, '1.2 s'],
    [42_000, '42 s'],
    [245_000, '4 min 05 s'],
    [3 * HOUR + 12 * 60_000, '3 h 12 min'],
    [52 * HOUR, '2 d 4 h'],
  ])('writes %d ms as %s', (ms, text) => {
    expect(formatSpan(ms)).toBe(text);
  });

  it('writes ages in one unit and stopwatches in all', () => {
    expect([500, 12_000, 4 * 60_000, 3 * HOUR].map(formatAge)).toEqual([
      'now',
      '12 s',
      '4 min',
      '3 h',
    ]);
    expect([41_000, 3 * HOUR + 7_000].map(formatStopwatch)).toEqual(['00:41', '3:00:07']);
  });

  it('writes times in UTC, with the date where it is another day', () => {
    const noon = Date.UTC(2026, 10, 24, 12);
    expect(formatTime(noon - HOUR, noon)).toBe('11:00:00');
    expect(formatTime(noon - 24 * HOUR, noon)).toBe('11-23 12:00:00');
    expect(formatTime(null, noon)).toBe('–');
  });

  it('keeps numbers readable and settings in their units', () => {
    expect(formatNumber(1_234_567.25)).toBe('1\u202f234\u202f567.25');
    expect([formatCount(1, 'asset'), formatCount(61, 'asset')]).toEqual(['1 asset', '61 assets']);
    expect(formatSettings({ max: 4, policy: { failAfterMs: HOUR, cron: null } })).toEqual([
      { name: 'max', value: '4' },
      { name: 'policy.failAfter', value: '1h' },
    ]);
    expect(shortId('0197c3a4-1b2c-7d3e-8f4a-5b6c7d8e9f00')).toBe('0197…8e9f00');
  });
});

describe('facts of a version', () => {
  it('are shown by their types and not as the JSON that carries them', () => {
    expect(formatFact('rows', 12_000)).toBe('12\u202f000');
    expect(formatFact('best', { type: 'markdown', value: '**acme**' })).toBe('**acme**');
    expect(formatFact('sample', { type: 'table', value: [{ a: 1 }, { a: 2 }] })).toBe(
      'table of 2 rows',
    );
    expect(formatFact('until', { type: 'timestamp', value: '2026-01-02T03:04:05.000Z' })).toBe(
      '2026-01-02 03:04:05.000 UTC',
    );
    const schema = [
      { name: 'id', type: 'integer' },
      { name: 'country', type: 'text' },
    ];
    expect(formatFact('schema', { type: 'json', value: schema })).toBe('id, country');
    expect(formatFact('tags', ['a', 'b'])).toBe('["a","b"]');
  });
});

describe('addresses', () => {
  it.each([
    ['/', { page: 'overview' }],
    ['/runs', { page: 'runs' }],
    [paths.run('a/b'), { page: 'run', id: 'a/b' }],
    [paths.asset('warehouse/raw customers'), { page: 'asset', key: 'warehouse/raw customers' }],
    ['/assets/warehouse/raw', { page: 'asset', key: 'warehouse/raw' }],
    ['/nothing', { page: 'unknown' }],
    ['/runs/%E0%A4%A', { page: 'unknown' }],
    ['/pools/x', { page: 'unknown' }],
  ])('reads %s', (path, route) => {
    expect(parseRoute(path)).toEqual(route);
  });

  it('changes one parameter and leaves the others', () => {
    expect(withQuery('/runs?state=failed&q=x', { state: null, workflow: 'a b' })).toBe(
      '/runs?q=x&workflow=a+b',
    );
    expect(withQuery('/runs?state=failed', { state: '' })).toBe('/runs');
  });
});

describe('signs', () => {
  it('never draws what nobody measured as healthy', () => {
    const pool = { used: 0, waiting: 0, max: 4, at: null };
    expect(signOfPool({ ...pool, kind: 'task-slots' })).toBe('clear');
    expect(signOfPool({ ...pool, kind: 'postgres-client' })).toBe('unknown');
  });

  it('draws a partition that is not there as unknown, and tells failed from stale', () => {
    expect(signOfPartition('missing')).toBe('unknown');
    expect([signOfPartition('failed'), signOfPartition('stale')]).toEqual(['danger', 'caution']);
  });

  it('shows a pool by how full it is and who waits', () => {
    const of = { kind: 'otel', at: '2026-01-01T00:00:00Z', max: 10 };
    expect(signOfPool({ ...of, used: 1, waiting: 0 })).toBe('clear');
    expect(signOfPool({ ...of, used: 9, waiting: 0 })).toBe('caution');
    expect(signOfPool({ ...of, used: 10, waiting: 3 })).toBe('danger');
    // It limits nothing, so it is not healthy either.
    expect(signOfPool({ ...of, max: null, created: false, used: 1, waiting: 0 })).toBe('off');
  });

  it('shows a group by its worst, and an incident by what is done about it', () => {
    expect(worstSign(['clear', 'unknown', 'degraded'])).toBe('degraded');
    expect(worstSign([])).toBe('unknown');
    expect(signOfIncident({ status: 'open', severity: 'warning' })).toBe('caution');
    expect(signOfIncident({ status: 'mitigating', severity: 'critical' })).toBe('moving');
  });
});

describe('the line over the diagram', () => {
  const NOW = Date.UTC(2026, 0, 1, 3);
  const incident = (of: Partial<Incident>) =>
    ({
      ...{ id: 'i', status: 'open', severity: 'error', title: 'orders source down', affected: [] },
      ...{ detectedAt: new Date(NOW - 41_000).toISOString(), resolvedAt: null, needsHuman: true },
      ...of,
    }) as Incident;

  it('names the worst incident and what lies behind it', () => {
    const affected = Array.from({ length: 61 }, (_, n) => ({ type: 'asset' as const, id: `${n}` }));
    const line = stateLine([incident({ severity: 'info' }), incident({ affected })], [], NOW);
    expect(line.text).toBe('2 incidents: orders source down');
    expect(line.detail).toBe('61 assets affected · waiting · detected 00:41 ago · needs a hand');
  });

  it('says how long all has been clear', () => {
    const resolvedAt = new Date(NOW - 3 * HOUR - 12 * 60_000).toISOString();
    const line = stateLine([incident({ status: 'resolved', resolvedAt })], [], NOW);
    expect(line).toMatchObject({ sign: 'clear', text: 'All clear for 3 h 12 min' });
  });

  it('does not say all clear while nothing is known', () => {
    const line = stateLine(
      [],
      [{ key: 'a/b', freshness: 'unknown', policy: { critical: true } } as Asset],
      NOW,
    );
    expect(line.sign).toBe('unknown');
  });

  it('says which critical assets nothing is known of, in place of all clear', () => {
    const of = (key: string, freshness: Asset['freshness'], critical: boolean) =>
      ({ key, freshness, policy: { critical } }) as Asset;
    const known = of('a/known', 'fresh', true);
    expect(stateLine([], [known, of('a/idle', 'unknown', false)], NOW).sign).toBe('clear');
    const blind = ['b', 'c', 'd', 'e'].map((name) => of(`a/${name}`, 'unknown', true));
    expect(stateLine([], [known, ...blind], NOW)).toMatchObject({
      sign: 'unknown',
      text: 'No incident is open, but nothing is known of 4 critical assets',
      detail: 'a/b, a/c, a/d, 1 more: no data so far',
    });
  });

  it('does not say all clear while an asset is stale', () => {
    const line = stateLine([], [{ key: 'a/b', freshness: 'stale' } as Asset], NOW);
    expect(line).toMatchObject({
      sign: 'danger',
      text: 'No incident is open, but 1 asset is not fresh',
    });
  });
});

describe('forms and search', () => {
  it('makes fields of a simple schema and leaves empty ones out', () => {
    const schema = {
      type: 'object',
      properties: {
        n: { type: 'integer', default: 5 },
        region: { type: 'string', enum: ['eu', 'us'] },
        dry: { type: 'boolean' },
      },
      required: ['n'],
    };
    const fields = fieldsOf(schema) ?? [];
    expect(fields.map(({ kind }) => kind)).toEqual(['number', 'choice', 'boolean']);
    expect(parametersOf(fields, { dry: 'false' })).toEqual({
      parameters: { n: 5, dry: false },
      faults: [],
    });
  });

  it('lets people choose from a union of literals', () => {
    const anyOf = [{ const: 'eu' }, { type: 'string', const: 'us' }];
    const [field] = fieldsOf({ properties: { region: { anyOf } } }) ?? [];
    expect(field).toMatchObject({ kind: 'choice', choices: ['eu', 'us'] });
    const [mixed] = fieldsOf({ properties: { x: { anyOf: [...anyOf, { type: 'null' }] } } }) ?? [];
    expect(mixed?.kind).toBe('json');
  });

  it('asks for JSON where a schema is more than fields', () => {
    expect(fieldsOf({ oneOf: [] })).toBeNull();
    expect(fieldsOf(null)).toEqual([]);
  });

  it('finds what has all words, what starts with them first', () => {
    const found = matchEntries(
      [{ label: 'load orders' }, { label: 'orders load' }, { label: 'x' }],
      'orders lo',
      5,
    );
    expect(found.map(({ label }) => label)).toEqual(['orders load', 'load orders']);
  });

  it('draws one sample as a level, and nothing for none', () => {
    expect(sparkPath([], 100, (value) => value)).toBe('');
    expect(sparkPath([{ atMs: 1, value: 4 }], 100, (value) => value)).toBe('M0 4H100');
  });
});
