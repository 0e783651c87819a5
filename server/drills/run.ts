/**
 * Runs drills one after the other on an instance of their own and prints their scorecards. Exit code 0 where
 * every bound was kept, 1 where one was missed.
 */
import { type ProgressBar, progressBar } from '../progress-bar.ts';
import { usablePort } from '../supervise/free-port.ts';
import { drillAssetCascade } from './asset-cascade.ts';
import { drillDuplicateRuns } from './duplicate-runs.ts';
import { type DrillInstance, startInstance } from './instance.ts';
import type { Tell } from './outcome.ts';
import { drillPoolExhaustion } from './pool-exhaustion.ts';
import { renderScorecards, type Scorecard } from './scorecard.ts';

const MS_A_SECOND = 1_000;

type Drill = (instance: DrillInstance, tell: Tell) => Promise<Scorecard[]>;

export const DRILLS: Readonly<Record<string, Drill>> = {
  'pool-exhaustion': drillPoolExhaustion,
  'duplicate-runs': drillDuplicateRuns,
  'asset-cascade': drillAssetCascade,
};

/**
 * @param names keys of `DRILLS`, or `all`
 * @returns the exit code: 0 all passed, 1 a bound was missed, 2 a name is not known
 */
export async function runDrills(
  names: readonly string[],
  options: { json: boolean },
): Promise<number> {
  const wanted = names.includes('all') || names.length === 0 ? Object.keys(DRILLS) : [...names];
  const unknown = wanted.filter((name) => !(name in DRILLS));
  if (unknown.length > 0) {
    console.error(
      `no such drill: ${unknown.join(', ')}; there are ${Object.keys(DRILLS).join(', ')} and all`,
    );
    return 2;
  }
  const bar = progressBar(process.stderr, options.json);
  const redrawing = drawEachSecond(bar, wanted);
  const tell: Tell = bar.line;
  tell('starting an instance for the drills');
  const instance = await usablePort('127.0.0.1', 0, '')
    .then(startInstance)
    .catch((error) => {
      redrawing.end();
      throw error;
    });
  const stopOnSignal = () => void instance.stop().then(() => process.exit(1));
  process.once('SIGINT', stopOnSignal).once('SIGTERM', stopOnSignal);
  try {
    tell(`watch at ${instance.loginUrl}`);
    const cards: Scorecard[] = [];
    for (const [index, name] of wanted.entries()) {
      redrawing.begin(index);
      cards.push(...((await DRILLS[name]?.(instance, tell)) ?? []));
    }
    redrawing.end();
    console.log(options.json ? JSON.stringify({ drills: cards }) : renderScorecards(cards));
    return cards.every((card) => card.passed) ? 0 : 1;
  } finally {
    redrawing.end();
    process.off('SIGINT', stopOnSignal).off('SIGTERM', stopOnSignal);
    await instance.stop();
  }
}

/** Which drill is under way, and for how long all of them take already. */
function drawEachSecond(bar: ProgressBar, names: readonly string[]) {
  const begunAt = performance.now();
  let done = -1;
  const show = () => {
    const seconds = Math.round((performance.now() - begunAt) / MS_A_SECOND);
    bar.show(Math.max(0, done), names.length, `${names[done] ?? 'starting'}  ${seconds} s`);
  };
  const timer = setInterval(show, MS_A_SECOND);
  show();
  return {
    begin(index: number): void {
      done = index;
      show();
    },
    end(): void {
      clearInterval(timer);
      bar.clear();
    },
  };
}
