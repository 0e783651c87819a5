import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readSchema } from '../../../orchestrator/define/parameters.ts';
import { createParameters } from '../../../orchestrator/runs/parameters.ts';

const parameters = createParameters();

function faultsOf(schema: object, given: Record<string, unknown>): unknown {
  try {
    return parameters.check(readSchema(schema).jsonSchema, given);
  } catch (error) {
    return (error as { errors?: unknown }).errors;
  }
}

describe('a parameter that is none of its choices', () => {
  it.each([
    ['an enum of Zod', z.object({ region: z.enum(['eu', 'us']) })],
    [
      'a union of literals of Zod',
      z.object({ region: z.union([z.literal('eu'), z.literal('us')]) }),
    ],
    [
      'a union of literals of TypeBox',
      Type.Object({ region: Type.Union([Type.Literal('eu'), Type.Literal('us')]) }),
    ],
  ])('is told all of them, once: %s', (_name, schema) => {
    expect(faultsOf(schema, { region: 'asia' })).toEqual([
      { path: '/region', message: 'must be one of "eu", "us"' },
    ]);
  });

  it('is told the one that there is', () => {
    expect(faultsOf(Type.Object({ mode: Type.Literal('full') }), { mode: 'x' })).toEqual([
      { path: '/mode', message: 'must be "full"' },
    ]);
  });

  it('is told beside whatever else is wrong', () => {
    const schema = z.strictObject({ region: z.enum(['eu', 'us']), n: z.number().int().max(9) });
    expect(faultsOf(schema, { region: 'asia', n: 10, 'a/b': 1 })).toEqual(
      expect.arrayContaining([
        { path: '/a~1b', message: 'is not known' },
        { path: '/region', message: 'must be one of "eu", "us"' },
        { path: '/n', message: 'must be <= 9' },
      ]),
    );
  });
});
