import { expect, it } from 'vitest';
import {
  addSources,
  isSource,
  selectAround,
  selectForOverview,
  sourceName,
} from '../../console/src/track/select.ts';
import { type Asset, NO_POLICY } from '../../domain/asset.ts';
import type { Incident } from '../../domain/incident.ts';

function asset(key: string, dependsOn: string[] = [], critical = false): Asset {
  const { fallback, deadlineCron } = NO_POLICY;
  return {
    ...{
      key,
      namespace: 'n',
      name: key,
      description: null,
      owners: [],
      external: false,
      freshness: 'fresh',
    },
    ...{ lastMaterialization: null, dependsOn, checks: [] },
    policy: { warnAfter: null, failAfter: null, deadlineCron, critical, fallback },
  };
}

const chain = [
  asset('a'),
  asset('b', ['a']),
  asset('c', ['b'], true),
  asset('d', ['c']),
  asset('x'),
];
const keys = (nodes: readonly { key: string }[]) => nodes.map(({ key }) => key).join(' ');

it('shows critical assets with all that they rest on, and not what has nothing to do with them', () => {
  expect(keys(selectForOverview(chain))).toBe('a b c d');
});

it('shows all that is connected where nothing is critical', () => {
  expect(keys(selectForOverview(chain.map((each) => asset(each.key, [...each.dependsOn]))))).toBe(
    'a b c d',
  );
});

it('shows single assets where nothing is connected', () => {
  expect(keys(selectForOverview([asset('x'), asset('y')]))).toBe('x y');
});

it('shows so many levels up and down of an asset', () => {
  expect(keys(selectAround(chain, ['b'], 1, 1))).toBe('a b c');
});

it('puts the source that an incident names before the first asset that it starves', () => {
  const incident = {
    status: 'mitigating',
    detectedAt: '2026-01-01T03:00:00.000Z',
    subjects: [
      { type: 'source', id: 'http://127.0.0.1:9/rows' },
      { type: 'asset', id: 'b' },
    ],
    affected: [{ type: 'asset', id: 'c' }],
  } as unknown as Incident;
  const nodes = addSources(selectForOverview(chain), [incident], chain);
  const source = nodes.find(({ key }) => isSource(key));
  expect(source?.sign).toBe('danger');
  expect(sourceName(source?.key ?? '')).toBe('127.0.0.1:9/rows');
  expect(nodes.find(({ key }) => key === 'b')?.upstream).toEqual(['a', source?.key]);
  expect(nodes.find(({ key }) => key === 'c')?.upstream).toEqual(['b']);
  const resolved = { ...incident, status: 'resolved' as const };
  expect(addSources(selectForOverview(chain), [resolved], chain)).toHaveLength(4);
});

it('believes that a source answers again once its reader was computed anew, not by a fallback', () => {
  const incident = {
    status: 'mitigating',
    detectedAt: '2026-01-01T03:00:00.000Z',
    subjects: [
      { type: 'source', id: 'http://127.0.0.1:9/rows' },
      { type: 'asset', id: 'a' },
    ],
    affected: [],
  } as unknown as Incident;
  const signAfter = (recordedAt: string, provenance: 'computed' | 'fallback') => {
    const lastMaterialization = {
      ...{ id: 'm', assetKey: 'a', at: recordedAt, recordedAt, runId: null, partition: null },
      ...{ provenance, metadata: {} },
    };
    const assets = [{ ...asset('a'), lastMaterialization }];
    return addSources(selectForOverview(assets), [incident], assets)[0]?.sign;
  };
  expect(signAfter('2026-01-01T02:59:00.000Z', 'computed')).toBe('danger');
  expect(signAfter('2026-01-01T03:01:00.000Z', 'fallback')).toBe('danger');
  expect(signAfter('2026-01-01T03:01:00.000Z', 'computed')).toBe('clear');
});
