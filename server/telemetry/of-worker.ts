/**
 * Telemetry of a worker process, in which one task at a time runs: what the task's code traces goes on from the span of
 * its attempt. A worker loads this module first and lets no task begin before.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { readConfig } from '../config.ts';
import { startAgentTelemetry } from './of-agent.ts';

const START_LIMIT_MS = 2_000;

const config = readConfig(process.env);
const { url, token } = config;
if (url !== null && token !== null) {
  const { started } = startAgentTelemetry({ config, url, token });
  await Promise.race([started, delay(START_LIMIT_MS, undefined, { ref: false })]);
}
