/** All commands, in the order in which help lists them. A new one is a file in `commands/` and a line here. */
import type { Command } from 'commander';
import { agentCommand } from './commands/agent.ts';
import { dbCommand } from './commands/db.ts';
import { drillCommand } from './commands/drill.ts';
import { serverCommand } from './commands/server.ts';
import { tokensCommand } from './commands/tokens.ts';
import { upCommand } from './commands/up.ts';

export const COMMANDS: readonly (() => Command)[] = [
  upCommand,
  serverCommand,
  agentCommand,
  drillCommand,
  dbCommand,
  tokensCommand,
];
