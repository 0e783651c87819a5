import { expect, it } from 'vitest';
import { FAULTS } from './faults.ts';
import { runScenario } from './scenario.ts';
import { startStage } from './stage.ts';

const RUNS = 450;
const FOR_MS = 45_000;

it('loses no task, doubles no effect and leaks no slot while everything fails in turn', async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const lines: string[] = [];
  await using stage = await startStage();
  const outcome = await runScenario(stage, {
    ...{ seed, faults: FAULTS, forMs: FOR_MS, runs: RUNS },
    log: (line) => lines.push(line),
  });
  expect(outcome.faults, `seed ${seed}\n${lines.join('\n')}`).toEqual([]);
  expect(outcome.runs).toBeGreaterThanOrEqual(2 * RUNS);
});
