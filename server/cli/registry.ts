/** All commands, in the order in which help lists them. A new one is a file in `commands/` and a line here. */
import type { Command } from 'commander';
import { agentCommand } from './commands/agent.ts';
import { artifactsCommand } from './commands/artifacts.ts';
import { assetsCommand } from './commands/assets.ts';
import { backfillCommand } from './commands/backfill.ts';
import { agentsCommand, poolsCommand, queuesCommand } from './commands/capacity.ts';
import { completionCommand } from './commands/completion.ts';
import { dbCommand } from './commands/db.ts';
import { deadlinesCommand } from './commands/deadlines.ts';
import { drillCommand } from './commands/drill.ts';
import { environmentsCommand } from './commands/environments.ts';
import { backtestCommand, incidentsCommand } from './commands/incidents.ts';
import { initCommand } from './commands/init.ts';
import { runbooksCommand } from './commands/runbooks.ts';
import { runsCommand } from './commands/runs.ts';
import { sensorsCommand } from './commands/sensors.ts';
import { serverCommand } from './commands/server.ts';
import { eventsCommand } from './commands/signals.ts';
import { tasksCommand } from './commands/tasks.ts';
import { tokensCommand } from './commands/tokens.ts';
import { upCommand } from './commands/up.ts';
import { workflowsCommand } from './commands/workflows.ts';

export const COMMANDS: readonly (() => Command)[] = [
  initCommand,
  upCommand,
  serverCommand,
  agentCommand,
  workflowsCommand,
  runsCommand,
  tasksCommand,
  backfillCommand,
  eventsCommand,
  sensorsCommand,
  deadlinesCommand,
  assetsCommand,
  artifactsCommand,
  poolsCommand,
  queuesCommand,
  agentsCommand,
  environmentsCommand,
  incidentsCommand,
  runbooksCommand,
  backtestCommand,
  drillCommand,
  dbCommand,
  tokensCommand,
  completionCommand,
];
