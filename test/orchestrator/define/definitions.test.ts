import { asset, check, flow, workflow } from 'signalbox';
import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';

const nothing = async () => null;

describe('a workflow', () => {
  it('becomes a definition with every option resolved', () => {
    const made = workflow(
      'daily-orders',
      { schedule: '0 2 * * *', timezone: 'Europe/Berlin', tags: ['a'], maxActiveRuns: 2 },
      (w) => {
        const extract = w.task(
          'extract',
          { retries: 3, retryDelay: '5m', timeout: 'PT1H' },
          nothing,
        );
        w.task('load', { after: [extract], pool: 'db', poolSlots: 2, priority: 5 }, nothing);
      },
    );
    expect(made.described).toEqual({
      name: 'daily-orders',
      kind: 'workflow',
      tags: ['a'],
      owners: [],
      schedule: { cron: '0 2 * * *', timezone: 'Europe/Berlin', catchup: false },
      parameters: null,
      queue: 'default',
      maxActiveRuns: 2,
      asset: null,
      tasks: [
        {
          key: 'extract',
          after: [],
          retries: 3,
          retryDelayMs: 300_000,
          retryBackoff: 1,
          retryMaxDelayMs: 3_600_000,
          timeoutMs: 3_600_000,
          pool: null,
          poolSlots: 1,
          priority: 0,
          idempotent: false,
        },
        expect.objectContaining({ key: 'load', after: ['extract'], pool: 'db', poolSlots: 2 }),
      ],
    });
  });

  it.each<[string, object, RegExp]>([
    [
      'an unknown option',
      { shedule: '@daily' },
      /unknown option "shedule"; did you mean "schedule"\?/,
    ],
    [
      'a cron expression that is none',
      { schedule: '61 * * * *' },
      /"61 \* \* \* \*" is not a cron/,
    ],
    ['an unknown timezone', { timezone: 'Mars/Base' }, /"Mars\/Base" is not a timezone/],
    ['a wrong number', { maxActiveRuns: 0 }, /maxActiveRuns: must be a whole number from 1/],
    ['a schema that is no object', { parameters: { type: 'string' } }, /must be of type "object"/],
    ['a queue with spaces', { queue: 'a b' }, /queue: must be a name/],
    ['a schedule of another type', { schedule: 5 }, /schedule: must be a cron expression such as/],
    ['one of several schedules', { schedule: ['@daily', 7] }, /schedule: 2\.: must be a cron/],
    ['two kinds in one', { schedule: { cron: '@daily', every: '1h' } }, /"cron" or "every", not/],
  ])('refuses %s and names it', (_what, options, message) => {
    expect(() => workflow('w', options, (w) => w.task('t', {}, nothing))).toThrow(message);
    expect(() => workflow('w', options, (w) => w.task('t', {}, nothing))).toThrow(
      /^workflow "w": /,
    );
  });

  it.each<[string, object, RegExp]>([
    [
      'a duration',
      { retryDelay: '5 minutes' },
      /task "t": retryDelay: "5 minutes" is not a duration/,
    ],
    ['a timeout of nothing', { timeout: 0 }, /timeout: must be a duration above zero/],
    ['an unknown option', { retrys: 3 }, /unknown option "retrys"; did you mean "retries"\?/],
    ['an upstream that is none', { after: ['nowhere'] }, /"t" comes after "nowhere", which is not/],
  ])('refuses %s of a task', (_what, options, message) => {
    expect(() => workflow('w', {}, (w) => w.task('t', options, nothing))).toThrow(message);
  });

  it('refuses two tasks of one key, no tasks at all, and a circle', () => {
    expect(() =>
      workflow('w', {}, (w) => {
        w.task('t', {}, nothing);
        w.task('t', {}, nothing);
      }),
    ).toThrow(/task "t": there are two tasks of this key/);
    expect(() => workflow('w', {}, () => undefined)).toThrow(/it has no tasks/);
    expect(() =>
      workflow('w', {}, (w) => {
        w.task('a', { after: ['c'] }, nothing);
        w.task('b', { after: ['a'] }, nothing);
        w.task('c', { after: ['b'] }, nothing);
      }),
    ).toThrow(/in a circle: (a → b → c → a|b → c → a → b|c → a → b → c)/);
  });

  it('refuses a function that adds its tasks later, and one that is none', () => {
    const later = async () => undefined;
    expect(() => workflow('w', {}, later as never)).toThrow(/^workflow "w": .* must not be async/);
    expect(() => workflow('w', (() => undefined) as never, nothing as never)).toThrow(
      'must be an object, not function: {} goes before the function where there are none',
    );
    expect(() => workflow('w', {}, undefined as never)).toThrow(
      /^workflow "w": a function that adds/,
    );
  });

  it('finds a circle in a chain of ten thousand tasks without a deep call stack', () => {
    expect(() =>
      workflow('w', {}, (w) => {
        for (let index = 0; index < 10_000; index++) {
          w.task(`t${index}`, { after: [`t${(index + 9_999) % 10_000}`] }, nothing);
        }
      }),
    ).toThrow(/in a circle/);
  });
});

describe('parameters', () => {
  it('are stored as JSON Schema, whatever library the schema is from', () => {
    const schemas = [
      { type: 'object', properties: { n: { type: 'integer', default: 5 } } },
      Type.Object({ n: Type.Integer({ default: 5 }) }),
      z.object({ n: z.int().default(5) }),
    ];
    for (const parameters of schemas) {
      const { described } = flow('f', { parameters }, nothing);
      expect(described.parameters).toMatchObject({
        type: 'object',
        properties: { n: { type: 'integer', default: 5 } },
      });
    }
  });

  it('of a Zod schema reach the code as what the schema makes of them', async () => {
    const { parse } = flow('f', { parameters: z.object({ day: z.coerce.number() }) }, nothing);
    expect(await parse?.({ day: '3' })).toEqual({ day: 3 });
    await expect(parse?.({ day: 'x' })).rejects.toThrow(
      /do not match the schema: .*expected number/,
    );
  });

  it('that only Zod can judge are refused with their path', async () => {
    const list = z.array(z.object({ n: z.number().refine((n) => n % 2 === 0, 'must be even') }));
    const { parse } = flow('f', { parameters: z.object({ list }) }, nothing);
    await expect(parse?.({ list: [{ n: 2 }, { n: 3 }] })).rejects.toThrow('/list/1/n must be even');
  });

  it('of Zod may be dates that come as texts, and no other thing that JSON has no type for', async () => {
    const { described, parse } = flow(
      'f',
      { parameters: z.object({ at: z.coerce.date() }) },
      nothing,
    );
    expect(described.parameters).toMatchObject({ properties: { at: { type: 'string' } } });
    expect(await parse?.({ at: '2026-01-01' })).toEqual({ at: new Date('2026-01-01') });
    expect(() => flow('f', { parameters: z.object({ at: z.date() }) }, nothing)).toThrow(
      /^flow "f": parameters: \/at is a date, which cannot come as JSON: take z\.coerce\.date/,
    );
  });
});

describe('an asset', () => {
  it('becomes a definition with its policy, its upstreams and its checks', () => {
    const raw = asset('warehouse/raw', { critical: true, fallback: 'last-good' }, nothing);
    const notEmpty = check('not-empty', { blocking: true }, () => true);
    const clean = asset(
      'warehouse/clean',
      {
        dependsOn: [raw, 'elsewhere/table'],
        freshness: { warnAfter: '50m', failAfter: '1h', deadlineCron: '0 6 * * *' },
        checks: { quality: { run: () => ({ passed: true }) }, notEmpty },
        queue: 'heavy',
      },
      nothing,
    );
    expect(clean.described).toMatchObject({
      name: 'warehouse/clean',
      kind: 'asset',
      queue: 'heavy',
      asset: {
        key: 'warehouse/clean',
        dependsOn: ['warehouse/raw', 'elsewhere/table'],
        warnAfterMs: 3_000_000,
        failAfterMs: 3_600_000,
        deadlineCron: '0 6 * * *',
        critical: false,
        fallback: null,
        checks: [
          { name: 'quality', blocking: false },
          { name: 'notEmpty', blocking: true },
        ],
      },
    });
    expect(raw.described.asset).toMatchObject({ critical: true, fallback: 'last-good' });
  });

  it.each<[string, () => unknown, RegExp]>([
    ['a key that ends with a slash', () => asset('sales/', {}, nothing), /an asset key is/],
    ['a key that is a slash', () => asset('/', {}, nothing), /an asset key is/],
    ['a key with spaces', () => asset('a b', {}, nothing), /an asset key is "namespace\/name"/],
    [
      'another fallback',
      () => asset('a/b', { fallback: 'zero' } as object, nothing),
      /fallback: must be "last-good", not "zero"/,
    ],
    [
      'a warning after the failure',
      () => asset('a/b', { freshness: { warnAfter: '2h', failAfter: '1h' } }, nothing),
      /freshness: warnAfter must not be longer than failAfter/,
    ],
    [
      'itself as upstream',
      () => asset('a/b', { dependsOn: ['a/b'] }, nothing),
      /depends on itself/,
    ],
    [
      'two checks of one name',
      () =>
        asset('a/b', { checks: [check('c', {}, () => true), check('c', {}, () => true)] }, nothing),
      /two checks of one name/,
    ],
  ])('refuses %s', (_what, make, message) => {
    expect(make).toThrow(message);
  });
});
