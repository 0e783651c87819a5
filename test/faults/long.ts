/**
 * The long form: `npm run faults -- MINUTES [SEED] [PATTERN]`; the pattern chooses among the faults by name.
 * PostgreSQL's disk is made small, and full now and then, where this user may mount one.
 */
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeTempDir } from '../support/temp-dir.ts';
import { FAULTS, FULL_DISK } from './faults.ts';
import { runScenario } from './scenario.ts';
import { type Stage, startStage } from './stage.ts';

const MINUTE_MS = 60_000;
const RUNS_A_MINUTE = 400;
const DISK = 'size=3g';

const minutes = Number(process.argv[2] ?? 60);
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31));
const pattern = new RegExp(process.argv[4] ?? '');
const log = (line: string) => console.log(`${new Date().toISOString()} ${line}`);

await using temp = await makeTempDir('faults-disk');
const disk = mountSmallDisk(join(temp.path, 'disk'));
using _unmount = {
  [Symbol.dispose]: () => {
    if (disk !== undefined) execFileSync('umount', [disk]);
  },
};
const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => stop.abort(new Error(`ended by ${signal} before its time`)));
}
log(`seed ${seed}, ${minutes} minutes`);
{
  await using stage = await startStage(disk);
  const outcome = await runScenario(stage, {
    ...{
      seed,
      log,
      forMs: minutes * MINUTE_MS,
      runs: minutes * RUNS_A_MINUTE,
      signal: stop.signal,
    },
    faults: (disk === undefined ? FAULTS : [...FAULTS, FULL_DISK]).filter(({ name }) =>
      pattern.test(name),
    ),
  });
  for (const [name, count] of outcome.injected) log(`${count} × ${name}`);
  for (const fault of outcome.faults) log(`FAULT: ${fault}`);
  if (outcome.faults.length > 0) await keepOutput(stage);
  log(`${outcome.runs} runs, ${outcome.faults.length} faults`);
  process.exitCode = outcome.faults.length > 0 ? 1 : 0;
}

/** What the present processes printed, for a look at what went wrong. */
async function keepOutput(stage: Stage): Promise<void> {
  for (const part of [...stage.servers, ...stage.agents]) {
    const path = join(tmpdir(), `signalbox-faults-${seed}-${part.name}.log`);
    await writeFile(path, `${part.process().stdout()}\n${part.process().stderr()}`);
    log(`${part.name}: ${path}`);
  }
}

function mountSmallDisk(path: string): string | undefined {
  try {
    mkdirSync(path);
    chmodSync(temp.path, 0o755);
    execFileSync('mount', ['-t', 'tmpfs', '-o', DISK, 'tmpfs', path], { stdio: 'ignore' });
    return path;
  } catch {
    log('no full disk: this user may not mount one');
    return undefined;
  }
}
