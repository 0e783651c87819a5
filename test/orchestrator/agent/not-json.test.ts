import { describe, expect, it } from 'vitest';
import { plainJson, plainParameters } from '../../../orchestrator/agent/encode.ts';

function message(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return 'nothing was thrown';
}

class Money {
  readonly cents: number;
  readonly #secret = 1;

  constructor(cents: number) {
    this.cents = cents;
  }

  get whole(): number {
    return this.cents / 100 + this.#secret;
  }
}

describe('what JSON would silently change', () => {
  it.each([
    [{ rows: [{}, { price: Number.NaN }] }, 'result.rows[1].price is NaN (give null or a text)'],
    [[1, Number.POSITIVE_INFINITY], 'result[1] is Infinity (give null or a text)'],
    [{ a: { b: new Map() } }, 'result.a.b is a Map (give Object.fromEntries(map))'],
    [[new Set([1])], 'result[0] is a Set (give [...set])'],
    [{ later: Promise.resolve(1) }, 'result.later is a Promise (await it)'],
    [{ 'two words': new Error('x') }, 'result["two words"] is an Error (give error.message)'],
    [{ at: new Date(Number.NaN) }, 'result.at is a Date that is none'],
    [{ n: { id: 10n } }, 'result.n.id is a BigInt (give a number or a text)'],
    [{ part: new Uint8Array(2) }, 'result.part is bytes'],
    [{ like: /a+/ }, 'result.like is a RegExp (give its source)'],
    [new Map(), 'this one is a Map'],
  ])('is refused with the path of the fault: %o', (value, told) => {
    expect(message(() => plainJson(value))).toContain(`a result must be JSON, and ${told}`);
  });

  it('is refused in parameters of other runs as well', () => {
    const told = message(() => plainParameters({ only: { ids: new Set([1]) } }));
    expect(told).toBe('parameters must be JSON, and parameters.only.ids is a Set (give [...set])');
  });

  it('is told apart from a circle', () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    expect(message(() => plainJson(circle))).toMatch(/a result must be JSON: .*circular/);
  });
});

it('keeps what JSON users know: dates as ISO texts, instances by their fields, undefined as null in lists', () => {
  const { value } = plainJson<unknown>({
    at: new Date('2026-01-31T06:00:00Z'),
    price: new Money(1_250),
    steps: [undefined, 1],
    left: undefined,
    bare: Object.assign(Object.create(null) as object, { a: 1 }),
    bytes: Buffer.from('ab'),
    own: { map: new Map(), toJSON: () => 'said by itself' },
  });
  expect(value).toEqual({
    at: '2026-01-31T06:00:00.000Z',
    price: { cents: 1_250 },
    steps: [null, 1],
    bare: { a: 1 },
    bytes: { type: 'Buffer', data: [97, 98] },
    own: 'said by itself',
  });
});
