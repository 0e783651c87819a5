/**
 * A worker process: runs one task at a time for its agent, over the channel that it was started with. When the channel
 * closes it ends itself and all that it started.
 */

import { type Clock, type EpochMs, systemClock } from '../../../domain/time.ts';
import { applyCeilings, reportPools } from '../../pools/registered.ts';
import { captureConsole } from '../console-capture.ts';
import { Aborted } from '../failure.ts';
import { LogBuffer } from '../log-buffer.ts';
import { Channel } from './channel.ts';
import { watchChildren, watchStrays } from './leftovers.ts';
import type { ToWorker } from './messages.ts';
import { capturePrinting } from './printing.ts';
import { type RunningHere, startTask } from './worker-task.ts';

const POOLS_EVERY_MS = 1_000;

async function main(): Promise<void> {
  const setup = setUp(process.argv[2]);
  const channel = new Channel();
  const clock = new AgentsClock();
  const logs = new LogBuffer(clock, (request) => channel.logs(request));
  const children = watchChildren();
  let running: RunningHere | null = null;
  watchStrays((error, what) => running?.stray(error, what) ?? false, logs);
  captureConsole(false);
  capturePrinting();
  process.on('disconnect', endAll);

  channel.onMessage((message: ToWorker) => {
    if (message.type === 'abort') running?.abort(new Aborted(message.kind, message.message));
    else if (message.type === 'ceilings') applyCeilings(message.ceilings);
    else if (message.type === 'probe') channel.send({ type: 'alive' });
    else if (message.type === 'run') {
      applyCeilings(message.ceilings);
      clock.aheadMs = message.clockAheadMs;
      running = startTask(message, { channel, logs, children, clock, setup });
    }
  });

  let told = '[]';
  const tellPools = () => {
    const pools = reportPools();
    const text = JSON.stringify(pools);
    if (text !== told) channel.send({ type: 'pools', pools });
    told = text;
  };
  setInterval(tellPools, POOLS_EVERY_MS).unref();
  channel.send({ type: 'ready' });
}

/** The time as the agent has it from its server. */
class AgentsClock implements Clock {
  aheadMs = 0;

  now(): EpochMs {
    return systemClock.now() + this.aheadMs;
  }
}

/** Loads the module that is to be there before any task; without it tasks begin at once. */
async function setUp(module: string | undefined): Promise<void> {
  if (module === undefined) return;
  await import(module).catch((error: unknown) => {
    console.error(`${module} could not be loaded: ${String(error)}`);
  });
}

/** The agent is gone. */
function endAll(): void {
  try {
    process.kill(-process.pid, 'SIGKILL');
  } catch {
    process.kill(process.pid, 'SIGKILL');
  }
}

await main();
