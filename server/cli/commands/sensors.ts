/** `signalbox sensors list|show|pause|unpause|tick|reset-cursor|push` */
import { Command } from 'commander';
import type { Sensor, SensorEventReceipt } from '../../../domain/sensor.ts';
import type { List } from '../api-client.ts';
import { UsageError } from '../exit.ts';
import { printable, renderFields, renderTable, state, time } from '../output.ts';
import { remoteCommand, segment, wholeNumber } from '../remote.ts';

const CHANGES = [
  ['pause', 'Stop looking'],
  ['unpause', 'Look again'],
  ['tick', 'Look at once'],
] as const;

export function sensorsCommand(): Command {
  const command = new Command('sensors').description(
    'Sensors: what looks for work, and what it saw',
  );
  command.addCommand(listCommand()).addCommand(
    remoteCommand('show <name>', 'One sensor', async ({ api, print }, name = '') => {
      print(await api.get<Sensor>(`/sensors/${segment(name)}`), renderSensor);
    }),
  );
  for (const [verb, description] of CHANGES) {
    command.addCommand(
      remoteCommand(`${verb} <name>`, description, async ({ api, print }, name = '') => {
        const sensor = await api.post<Sensor>(`/sensors/${segment(name)}/${verb}`);
        print(sensor, renderSensor);
      }),
    );
  }
  return command.addCommand(cursorCommand()).addCommand(pushCommand());
}

function listCommand(): Command {
  return remoteCommand<{ limit?: number }>('list', 'All sensors', async (remote) => {
    const { api, options, print } = remote;
    print(await api.get<List<Sensor>>('/sensors', { limit: options.limit }), ({ items }) =>
      renderTable(
        items,
        [
          ['SENSOR', (one) => one.name],
          ['STATE', (one) => state(stateOf(one))],
          ['EVERY', (one) => one.every ?? 'pushed'],
          ['LAST LOOK (UTC)', (one) => time(one.lastLookAt)],
          ['NEXT LOOK (UTC)', (one) => time(one.nextLookAt)],
          ['LAST RUN', (one) => one.lastRuns[0]?.runId],
          ['SAID', (one) => saidBy(one)],
        ],
        'No sensors. A workflow file defines them: sensor(name, { every, triggers }, look)',
      ),
    );
  }).option('--limit <n>', 'at most so many', wholeNumber);
}

function cursorCommand(): Command {
  return remoteCommand<{ cursor?: string }>(
    'reset-cursor <name>',
    'Forget where a sensor was, or set it',
    async ({ api, options, print }, name = '') => {
      const body = { cursor: options.cursor ?? null };
      print(await api.put<Sensor>(`/sensors/${segment(name)}/cursor`, body), renderSensor);
    },
  ).option('--cursor <text>', 'where it goes on; without it from the start');
}

function pushCommand(): Command {
  return remoteCommand<{ body?: string; idempotencyKey?: string }>(
    'push <name>',
    'Push an event to a sensor',
    async ({ api, options, print }, name = '') => {
      const { body, idempotencyKey } = options;
      const event = {
        ...(body === undefined ? {} : { body: readJson(body) }),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      };
      const path = `/sensors/${segment(name)}/events`;
      print(await api.post<SensorEventReceipt>(path, event), renderReceipt);
    },
  )
    .option('--body <json>')
    .option('--idempotency-key <key>', 'the same key is the same event');
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--body is not JSON: ${(error as Error).message}`);
  }
}

function renderReceipt({ created, runId, sensor }: SensorEventReceipt): string {
  if (runId !== null) return created ? `Run ${runId} was started.` : `It had started run ${runId}.`;
  return created ? `${sensor} is given it with its next look.` : `${sensor} had been given it.`;
}

function stateOf(sensor: Sensor): string {
  if (sensor.paused) return 'paused';
  if (sensor.lastError !== null) return 'failed';
  return sensor.looking ? 'running' : 'succeeded';
}

function saidBy({ lastError, skipReason }: Sensor): string | null {
  const text = lastError?.message ?? skipReason;
  return text === null ? null : printable(text).slice(0, 60);
}

function renderSensor(sensor: Sensor): string {
  const { lastError: error } = sensor;
  const failed = error && `${error.name}: ${error.message} (${sensor.failures} looks in a row)`;
  return renderFields([
    ['sensor', sensor.name],
    ['description', sensor.description],
    ['state', state(stateOf(sensor))],
    ['starts', sensor.triggers],
    ['every', sensor.every ?? 'pushed'],
    ['last look', time(sensor.lastLookAt)],
    ['next look', time(sensor.nextLookAt)],
    ['cursor', sensor.cursor],
    ['kept state', sensor.state],
    ['skipped', sensor.skipReason],
    ['last error', failed && printable(failed)],
    ['last runs', sensor.lastRuns.map(({ runId, key }) => `${runId} (${key})`).join(', ')],
    ['events waiting', sensor.waitingEvents],
    ['events refused', sensor.refusedEvents],
    ['file', sensor.file],
  ]);
}
