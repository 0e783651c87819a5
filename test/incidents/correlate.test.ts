import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Finding } from '../../domain/finding.ts';
import { correlate } from '../../incidents/correlate.ts';
import { loadUnresolved } from '../../incidents/store/incidents.ts';
import { createTimeline } from '../../incidents/timeline.ts';
import { startWorld, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await startWorld();
});
afterEach(() => world[Symbol.asyncDispose]());

const assets = (ids: readonly string[]) => ids.map((id) => ({ type: 'asset', id }) as const);

function stale(root: string, affected: readonly string[], patch: Partial<Finding> = {}): Finding {
  return {
    ...{ kind: 'stale-asset', fingerprint: `stale-asset:${root}`, status: 'firing' },
    ...{
      severity: 'error',
      title: `${root} is stale`,
      rootCause: root,
      diagnosis: 'no-new-version',
    },
    ...{ subjects: assets([root]), affected: assets(affected), evidence: [] },
    ...{ since: world.clock.now(), reason: 'past-its-policy' },
    ...patch,
  };
}

async function round(...findings: Finding[]) {
  const { db, clock, events } = world;
  const timeline = createTimeline({
    ...{ db, clock, log: () => {} },
    async recordEvent(event) {
      events.push(event);
    },
  });
  clock.advance(1_000);
  const base = { detector: 'stale-asset', kind: 'stale-asset', tookMs: 1, error: null } as const;
  const state = findings.some(({ status }) => status === 'firing') ? 'firing' : 'ok';
  const made = { ...base, at: clock.now(), state, settings: {}, findings } as const;
  await correlate({ db, timeline, now: clock.now() }, [made]);
  return loadUnresolved(db);
}

describe('one trouble, one incident', () => {
  it('joins what stands behind an open root, and keeps the incident from clearing', async () => {
    await round(stale('raw', ['clean', 'mart']));
    const [incident, ...others] = await round(stale('clean', ['mart']));
    expect(others).toEqual([]);
    expect(incident).toMatchObject({ fingerprint: 'stale-asset:raw', clearSince: null });
  });

  it('takes the incident over when its root is found further up', async () => {
    await round(stale('clean', ['mart']));
    const [incident, ...others] = await round(stale('raw', ['clean', 'mart']));
    expect(others).toEqual([]);
    expect(incident).toMatchObject({ fingerprint: 'stale-asset:raw', number: 1, rootCause: 'raw' });
  });

  it('folds several incidents into the one root that explains them all', async () => {
    await round(stale('a', []), stale('b', []));
    const left = await round(stale('raw', ['a', 'b']));
    expect(left.map(({ fingerprint }) => fingerprint)).toEqual(['stale-asset:raw']);
    const { items } = await world.incidents.list({ status: 'resolved' });
    expect(items[0]?.timeline.at(-1)).toMatchObject({ reason: 'folded-into-its-root' });
  });

  it('tells of new members and of graver severity once each', async () => {
    await round(stale('raw', []));
    const more = { subjects: [...assets(['raw']), { type: 'source', id: 's' } as const] };
    await round(stale('raw', [], more));
    await round(stale('raw', [], { ...more, severity: 'critical' }));
    await round(stale('raw', [], { ...more, severity: 'critical' }));
    expect((await world.only()).timeline.map(({ type }) => type)).toEqual([
      'opened',
      'member-joined',
      'severity-changed',
    ]);
    expect(await world.only()).toMatchObject({ severity: 'critical' });
  });
});

describe('no data', () => {
  const unknown = (patch: Partial<Finding>) => stale('x', [], { status: 'unknown', ...patch });

  it('of the detector, or of the very subject, keeps an incident as it is', async () => {
    await round(stale('raw', []));
    const blind = unknown({ fingerprint: 'stale-asset', subjects: [] });
    expect(await round(blind)).toMatchObject([{ clearSince: null }]);
    const silent = unknown({ fingerprint: 'stale-asset:unseen', subjects: assets(['raw']) });
    expect(await round(silent)).toMatchObject([{ clearSince: null }]);
    const other = unknown({ fingerprint: 'stale-asset:unseen', subjects: assets(['else']) });
    expect(await round(other)).toMatchObject([{ clearSince: world.clock.now() }]);
  });

  it('starts the hold anew when it comes in the middle', async () => {
    await round(stale('raw', []));
    expect(await round()).toMatchObject([{ clearSince: world.clock.now() }]);
    const blind = unknown({ fingerprint: 'stale-asset', subjects: [] });
    expect(await round(blind)).toMatchObject([{ clearSince: null }]);
  });
});

describe('what is stored', () => {
  it('has no zero bytes that PostgreSQL would refuse', async () => {
    const evil = {
      title: 'raw\u0000',
      evidence: [],
      rootCause: 'a\u0000b',
      subjects: assets(['r\u0000']),
    };
    expect(await round(stale('raw', [], evil))).toHaveLength(1);
  });
});
