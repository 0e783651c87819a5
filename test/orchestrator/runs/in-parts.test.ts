/** Many runs made at once: in parts, where none of them has to know of another. */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { makeInParts } from '../../../orchestrator/runs/in-parts.ts';
import type { RunRequest } from '../../../orchestrator/runs/trigger.ts';
import type { Version, Versions } from '../../../orchestrator/runs/versions.ts';

const plain: RunRequest = {
  ...{ workflow: 'w', versionId: '1', maxActiveRuns: null, parameters: {}, trigger: 'manual' },
};
const many = Array.from({ length: 1_201 }, (_, priority): RunRequest => ({ ...plain, priority }));

function versionsWith(concurrency: Version['concurrency']): Versions {
  const version = { id: '1', concurrency } as Version;
  return { get: () => version } as unknown as Versions;
}

const versions = versionsWith(null);

describe('thousands of new runs', () => {
  it('are made in parts, each sent before the next is drafted, and told in their order', async () => {
    const sizes: number[] = [];
    const answer = Promise.withResolvers<void>();
    const made = makeInParts(many, versions, async (part) => {
      sizes.push(part.length);
      if (sizes.length === 3) answer.resolve();
      await answer.promise;
      return part.map(({ priority }) => priority);
    });
    expect(await made).toEqual(many.map(({ priority }) => priority));
    expect(sizes).toEqual([500, 500, 201]);
  });

  it('let the process do what else is due between two parts', async () => {
    let turns = 0;
    const seen: number[] = [];
    const counting = (async () => {
      for (; turns < 5; turns += 1) await yieldToOthers();
    })();
    await makeInParts(many, versions, async () => {
      seen.push(turns);
      return [];
    });
    await counting;
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('fail together with the first part that fails, after all were sent', async () => {
    let calls = 0;
    const made = makeInParts(many, versions, async () => {
      calls += 1;
      if (calls === 2) throw new Error('the second part');
      return [];
    });
    await expect(made).rejects.toThrow('the second part');
    expect(calls).toBe(3);
  });

  it.each([
    ['one has a key', versions, [...many, { ...plain, idempotencyKey: 'k' }]],
    ['their number is limited', versions, many.map((one) => ({ ...one, maxActiveRuns: 10 }))],
    [
      'they share a concurrency key',
      versionsWith({ key: 'k', limit: 1, onConflict: 'wait' } as unknown as Version['concurrency']),
      many,
    ],
  ])('are made at once where %s', async (_, known, requests) => {
    const sizes: number[] = [];
    await makeInParts(requests, known, async (part) => {
      sizes.push(part.length);
      return [];
    });
    expect(sizes).toEqual([requests.length]);
  });
});
