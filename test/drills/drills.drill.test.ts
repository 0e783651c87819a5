/** The three outages, caused for real on an instance of its own, and judged from outside. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Scorecard } from '../../server/drills/scorecard.ts';
import { startProcess } from '../support/child-process.ts';

const COMMAND = join(import.meta.dirname, '..', '..', 'bin', 'signalbox.js');
const LIMIT_MS = 8 * 60_000;

test(
  'three real outages are found, put right and proven within their bounds, without a human',
  async () => {
    await using drill = startProcess(process.execPath, [COMMAND, 'drill', 'all', '--json']);
    const code = await drill.waitForExit(LIMIT_MS);
    console.log(drill.stderr());
    const { drills } = JSON.parse(drill.stdout()) as { drills: Scorecard[] };
    const missed = drills.flatMap((card) =>
      card.checks
        .filter((one) => !one.ok)
        .map((one) => `${card.drill} ${card.variant}: ${one.name} (${one.detail})`),
    );
    expect(missed).toEqual([]);
    expect(drills.map((card) => card.drill)).toEqual([
      'pool-exhaustion',
      'pool-exhaustion',
      'duplicate-runs',
      'asset-cascade',
    ]);
    expect(code).toBe(0);
  },
  LIMIT_MS + 30_000,
);
