import { describe, expect, it } from 'vitest';
import { layoutTrack, type TrackNode } from '../../console/src/track/layout.ts';

const node = (
  key: string,
  upstream: string[] = [],
  sign: TrackNode['sign'] = 'clear',
  critical = false,
): TrackNode => ({ key, upstream, sign, critical });

const fanOut = (count: number, sign: TrackNode['sign'] = 'clear') => [
  node('root', [], sign),
  ...Array.from({ length: count }, (_, index) => node(`leaf-${index}`, ['root'], sign)),
];

describe('track layout', () => {
  it('places a station one level after the deepest that it rests on', () => {
    const plan = layoutTrack([node('a'), node('b', ['a']), node('c', ['a', 'b'])]);
    const depths = Object.fromEntries(plan.stations.map(({ id, depth }) => [id, depth]));
    expect(depths).toEqual({ a: 0, b: 1, c: 2 });
    expect(plan.levels).toBe(3);
  });

  it('keeps a chain on one straight row', () => {
    const plan = layoutTrack([node('a'), node('b', ['a']), node('c', ['b'])]);
    expect(new Set(plan.stations.map(({ row }) => row)).size).toBe(1);
  });

  it('never puts two stations of a level on one row', () => {
    const plan = layoutTrack([
      ...fanOut(5),
      ...Array.from({ length: 5 }, (_, index) => node(`sum-${index}`, ['leaf-0', 'leaf-4'])),
    ]);
    const places = plan.stations.map(({ depth, row }) => `${depth} ${row}`);
    expect(new Set(places).size).toBe(places.length);
    expect(Math.min(...plan.stations.map(({ row }) => row))).toBe(0);
  });

  it('folds a large level into one station that says how many and how bad', () => {
    const nodes = fanOut(32);
    const sick = nodes.map((each) =>
      each.key === 'leaf-7' ? { ...each, sign: 'danger' as const } : each,
    );
    const plan = layoutTrack(sick);
    const group = plan.stations.find(({ keys }) => keys.length > 1);
    expect(group?.keys).toHaveLength(31);
    expect(plan.stations.some(({ id }) => id === 'leaf-7')).toBe(true);
    expect(group?.sign).toBe('clear');
  });

  it('keeps critical stations out of a fold', () => {
    const nodes = fanOut(20).map((each) =>
      each.key === 'leaf-3' ? { ...each, critical: true } : each,
    );
    expect(layoutTrack(nodes).stations.some(({ id }) => id === 'leaf-3')).toBe(true);
  });

  it('shows a level whole once it is unfolded', () => {
    const plan = layoutTrack(fanOut(32), { unfolded: new Set([1]) });
    expect(plan.stations).toHaveLength(33);
  });

  it('dims what stands behind a failure and marks where it began', () => {
    const plan = layoutTrack([
      node('source', [], 'danger'),
      node('made', ['source'], 'danger'),
      node('report', ['made'], 'clear'),
      node('other'),
    ]);
    const of = (id: string) => plan.stations.find((station) => station.id === id);
    expect(of('source')).toMatchObject({ origin: true, dim: false });
    expect(of('made')).toMatchObject({ origin: false, dim: true });
    expect(of('report')).toMatchObject({ dim: true });
    expect(of('other')).toMatchObject({ dim: false });
    expect(plan.tracks.every(({ dim }) => dim)).toBe(true);
  });

  it('survives a cycle and an upstream that nobody knows', () => {
    const plan = layoutTrack([node('a', ['b', 'gone']), node('b', ['a'])]);
    expect(plan.stations).toHaveLength(2);
    expect(plan.tracks).toHaveLength(2);
  });

  it('draws nothing for nothing', () => {
    expect(layoutTrack([])).toMatchObject({ levels: 0, rows: 0, stations: [], tracks: [] });
  });
});
