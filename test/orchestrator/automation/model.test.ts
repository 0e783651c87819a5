/**
 * Eager assets over histories that chance makes, against a model that keeps, of each asset, every version that it has
 * read or was asked for because of, and asks by the words of the documentation alone.
 */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Memory, NO_MEMORY, type Subject } from '../../../orchestrator/automation/facts.ts';
import { lookAtAll } from '../../../orchestrator/automation/round.ts';
import { promise } from '../../../orchestrator/automation/seen.ts';
import { eager } from '../../../orchestrator/index.ts';
import { idAt, MINUTE, own, subjectOf, T0, upstream } from './facts.ts';

/** Each with those that it is made from: a diamond, a chain, and one of another system. */
const UPSTREAMS: Readonly<Record<string, readonly string[]>> = {
  foreign: [],
  a: [],
  b: ['a', 'foreign'],
  c: ['a'],
  d: ['b', 'c'],
  e: ['d'],
};
const MADE_HERE = ['a', 'b', 'c', 'd', 'e'];

interface Version {
  readonly id: string;
  readonly at: number;
  readonly runId: string | null;
  readonly read: Readonly<Record<string, string>>;
}

interface RunUnderWay {
  readonly id: string;
  readonly since: number;
  /** Those that are not made yet, in order. */
  left: string[];
  failed: string[];
}

type Step =
  | { readonly do: 'report' | 'by-hand'; readonly asset: string }
  | { readonly do: 'go-on' | 'fail' | 'cancel'; readonly run: number }
  | { readonly do: 'look' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.constant({ do: 'report' as const, asset: 'foreign' }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('by-hand' as const),
      asset: fc.constantFrom(...MADE_HERE),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('go-on' as const), run: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fail' as const), run: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), run: fc.nat(5) }) },
  { weight: 6, arbitrary: fc.constant({ do: 'look' as const }) },
);

/** What there is: versions, failures, runs; changed by steps, and looked at by both. */
class World {
  now = T0;
  number = 0;
  readonly versions = new Map<string, Version[]>();
  readonly failing = new Map<string, { at: number; runId: string }>();
  readonly runs: RunUnderWay[] = [];
  readonly ends = new Map<string, string>();

  latest(key: string): Version | undefined {
    return this.versions.get(key)?.at(-1);
  }

  tick(): void {
    this.now += MINUTE;
    this.number += 1;
  }

  runOf(key: string): RunUnderWay | undefined {
    return this.runs.find(({ left }) => left.includes(key));
  }

  start(assets: readonly string[]): string {
    this.number += 1;
    const id = idAt(this.now, this.number);
    this.runs.push({ id, since: this.now, left: [...assets], failed: [] });
    return id;
  }

  apply(one: Step): void {
    this.tick();
    if (one.do === 'report') this.add(one.asset, null, {});
    if (one.do === 'by-hand' && !this.runOf(one.asset)) this.start([one.asset]);
    if (!('run' in one)) return;
    const run = this.runs[one.run % Math.max(1, this.runs.length)];
    if (!run) return;
    if (one.do === 'cancel') this.end(run, 'cancelled');
    else this.next(run, one.do === 'fail');
  }

  /** The next task of a run ends. */
  private next(run: RunUnderWay, fails: boolean): void {
    const key = run.left.shift();
    if (key === undefined) return;
    const above = UPSTREAMS[key] ?? [];
    if (fails || above.some((one) => run.failed.includes(one))) {
      run.failed.push(key);
      this.failing.set(key, { at: this.now, runId: run.id });
    } else {
      const read = above.flatMap((one) => {
        const version = this.latest(one);
        // What another system makes is read unseen.
        return version && one !== 'foreign' ? [[one, version.id]] : [];
      });
      this.add(key, run.id, Object.fromEntries(read));
      this.failing.delete(key);
    }
    if (run.left.length === 0) this.end(run, run.failed.length > 0 ? 'failed' : 'succeeded');
  }

  private end(run: RunUnderWay, state: string): void {
    this.runs.splice(this.runs.indexOf(run), 1);
    this.ends.set(run.id, state);
  }

  private add(key: string, runId: string | null, read: Version['read']): void {
    const version = { id: idAt(this.now, this.number), at: this.now, runId, read };
    this.versions.set(key, [...(this.versions.get(key) ?? []), version]);
  }
}

/** What the evaluator asks for. */
class Evaluator {
  readonly memories = new Map<string, Memory>();

  look(world: World): readonly string[] {
    const looks = MADE_HERE.toReversed().map((key) => ({
      key,
      subjects: [this.subject(key, world)],
      underWay: 0,
    }));
    const { decided, failed } = lookAtAll(looks, world.now);
    expect(failed).toEqual([]);
    const asked = decided.filter(({ decision }) => decision === 'requested');
    for (const { subject, memory } of decided) this.memories.set(subject.key, memory);
    return asked.map(({ subject }) => subject.key);
  }

  /** What `record.ts` adds of a request. */
  asked(world: World, keys: readonly string[], runOf: (key: string) => string): void {
    for (const key of keys) {
      const memory = this.memories.get(key) ?? NO_MEMORY;
      const runId = runOf(key);
      const seen = (UPSTREAMS[key] ?? []).flatMap((one) => {
        const marker = world.latest(one)?.id ?? null;
        if (keys.includes(one)) return [[one, promise(runId, marker)]];
        return marker === null ? [] : [[one, marker]];
      });
      const last = world.latest(key)?.id ?? null;
      this.memories.set(key, {
        ...memory,
        ...{ seen: { ...memory.seen, ...Object.fromEntries(seen) }, handledAt: world.now },
        request: { runId, at: world.now, cause: `${world.number}`, own: last },
        ...{ requests: memory.requests + 1, missingAsked: memory.missingAsked || last === null },
      });
    }
  }

  private subject(key: string, world: World): Subject {
    const made = world.latest(key);
    const run = world.runOf(key);
    const failing = world.failing.get(key);
    const memory = this.memories.get(key) ?? NO_MEMORY;
    return subjectOf(eager(), {
      key,
      memory,
      own: own({
        ...{ marker: made?.id ?? null, recordedAt: made?.at ?? null, runId: made?.runId ?? null },
        inputs: made ? Object.entries(made.read).map(([one, id]) => [one, null, id, id]) : null,
        inProgress: run ? { runId: run.id, since: run.since } : null,
        failed: failing ? { ...failing, message: 'no disk' } : null,
        requestEnded: world.ends.get(memory.request?.runId ?? '') ?? null,
      }),
      upstreams: (UPSTREAMS[key] ?? []).map((one) => {
        const version = world.latest(one);
        const busy = world.runOf(one);
        const bad = world.failing.get(one);
        return upstream(one, version?.at ?? null, {
          ...{ marker: version?.id ?? null, runId: version?.runId ?? null },
          versions: version ? [[null, version.id, version.id]] : [],
          inProgress: busy ? { runId: busy.id, since: busy.since } : null,
          failed: bad ? { ...bad, message: 'no disk' } : null,
        });
      }),
    });
  }
}

/** What the documentation says: of each asset, the versions of upstreams that are no news to it. */
class Model {
  private readonly known = new Map<string, Set<string>>();
  private readonly promised = new Map<string, string>();
  private readonly asked = new Set<string>();
  private readonly noticed = new Map<string, string>();

  look(world: World): readonly string[] {
    const asked: string[] = [];
    for (const key of MADE_HERE) {
      this.notice(key, world);
      if (this.isDue(key, world, asked)) asked.push(key);
    }
    return asked;
  }

  private notice(key: string, world: World): void {
    const made = world.latest(key);
    if (!made || this.noticed.get(key) === made.id) return;
    this.noticed.set(key, made.id);
    const known = this.known.get(key) ?? new Set<string>();
    for (const one of UPSTREAMS[key] ?? []) {
      const read = made.read[one];
      const present = world.latest(one);
      if (!present) continue;
      if (read !== undefined) {
        // What it was made from is known; what it was not made from is news, whoever asked for it.
        if (read === present.id) known.add(present.id);
        else known.delete(present.id);
        if (read !== present.id) this.promised.delete(`${key}/${one}`);
      } else if (present.runId === null && present.at <= runBegan(made)) known.add(present.id);
    }
    this.known.set(key, known);
  }

  private isDue(key: string, world: World, asked: readonly string[]): boolean {
    if (world.runOf(key)) return false;
    let news = !world.latest(key) && !this.asked.has(key);
    for (const one of UPSTREAMS[key] ?? []) {
      if (asked.includes(one)) {
        news = true;
        continue;
      }
      const version = world.latest(one);
      if (!version || world.runOf(one) || world.failing.has(one)) return false;
      const isPromised =
        version.runId !== null && this.promised.get(`${key}/${one}`) === version.runId;
      if (!this.known.get(key)?.has(version.id) && !isPromised) news = true;
    }
    return news;
  }

  started(world: World, keys: readonly string[], runOf: (key: string) => string): void {
    for (const key of keys) {
      this.asked.add(key);
      const known = this.known.get(key) ?? new Set<string>();
      for (const one of UPSTREAMS[key] ?? []) {
        this.promised.delete(`${key}/${one}`);
        if (keys.includes(one)) this.promised.set(`${key}/${one}`, runOf(key));
        const version = world.latest(one);
        if (version) known.add(version.id);
      }
      this.known.set(key, known);
    }
  }
}

function runBegan({ runId, at }: Version): number {
  return runId === null ? at : Number.parseInt(runId.replaceAll('-', '').slice(0, 12), 16);
}

function groupsOf(keys: readonly string[]): readonly (readonly string[])[] {
  const groups: string[][] = [];
  for (const key of keys) {
    const joined = groups.filter((of) => of.some((one) => UPSTREAMS[key]?.includes(one)));
    const rest = groups.filter((of) => !joined.includes(of));
    groups.splice(0, groups.length, ...rest, [...joined.flat(), key]);
  }
  return groups.map((of) => MADE_HERE.filter((key) => of.includes(key)));
}

function play(steps: readonly Step[]) {
  const world = new World();
  const evaluator = new Evaluator();
  const model = new Model();
  const asked: string[] = [];
  for (const one of steps) {
    world.apply(one);
    if (one.do !== 'look') continue;
    const found = [...evaluator.look(world)].sort();
    expect(found).toEqual([...model.look(world)].sort());
    const runs = new Map(
      groupsOf(MADE_HERE.filter((key) => found.includes(key))).flatMap((of) => {
        for (const key of of) expect(world.runOf(key)).toBeUndefined();
        const id = world.start(of);
        return of.map((key): [string, string] => [key, id]);
      }),
    );
    const runOf = (key: string) => runs.get(key) ?? '';
    evaluator.asked(world, found, runOf);
    model.started(world, found, runOf);
    asked.push(...found);
  }
  return { world, asked };
}

describe('eager assets over any history', () => {
  it('are asked for exactly when something is new to them, never twice for the same', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        play(steps);
      }),
      { numRuns: 400 },
    );
  });

  it('are all made from the newest of what lies above, once nothing more happens and nothing failed', () => {
    const settle = Array.from({ length: 40 }, (_, index): Step[] => [
      { do: 'look' },
      { do: 'go-on', run: index },
      { do: 'go-on', run: 0 },
    ]).flat();
    const quiet = step.filter((one) => one.do !== 'fail' && one.do !== 'cancel');
    fc.assert(
      fc.property(fc.array(quiet, { maxLength: 40 }), (steps) => {
        const { world } = play([{ do: 'report', asset: 'foreign' }, ...steps, ...settle]);
        expect(world.runs).toEqual([]);
        for (const key of MADE_HERE) {
          for (const [one, id] of Object.entries(world.latest(key)?.read ?? { none: '' })) {
            expect([key, one, id]).toEqual([key, one, world.latest(one)?.id]);
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});
