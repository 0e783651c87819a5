/** Sensors: what they saw last, pausing them, and pushing events to them. */
import { randomUUID } from 'node:crypto';
import type { Sensor, SensorEventReceipt } from '../../domain/sensor.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { Closed, Name, Named, PageOf, pageFields } from '../schemas/parts.ts';
import { CursorBody, SensorEventBody } from '../schemas/sensors.ts';

const tags = ['sensors'];
const ByName = Closed({ name: Name });

export function sensorRoutes(app: App, { orchestrator }: Parts): void {
  const { sensors } = orchestrator;
  app.get(
    '/sensors',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'All sensors', querystring: Closed(pageFields) },
        response: { 200: PageOf<Sensor>('Sensor') },
      },
    },
    (request) => sensors.list(request.query),
  );
  app.get(
    '/sensors/:name',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'One sensor', params: ByName },
        response: { 200: Named<Sensor>('Sensor') },
      },
    },
    (request) => sensors.get(request.params.name),
  );
  app.post(
    '/sensors/:name/events',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Push an event to a sensor', params: ByName, body: SensorEventBody },
        response: {
          200: Named<SensorEventReceipt>('SensorEventReceipt'),
          202: Named<SensorEventReceipt>('SensorEventReceipt'),
        },
      },
    },
    async (request, reply) => {
      const { body = null, idempotencyKey = randomUUID() } = request.body;
      const actor = { name: callerOf(request).actor };
      const event = { key: idempotencyKey, body };
      const receipt = await sensors.push(request.params.name, event, actor);
      return reply.code(receipt.created ? 202 : 200).send(receipt);
    },
  );
  changeRoutes(app, sensors);
}

function changeRoutes(app: App, sensors: Parts['orchestrator']['sensors']): void {
  const changes = {
    pause: ['Stop looking', (name: string, actor) => sensors.setPaused(name, true, actor)],
    unpause: ['Look again', (name: string, actor) => sensors.setPaused(name, false, actor)],
    tick: ['Look at once', (name: string, actor) => sensors.tick(name, actor)],
  } as const satisfies Record<
    string,
    readonly [string, (name: string, actor: { name: string }) => Promise<Sensor>]
  >;
  for (const [verb, [summary, change]] of Object.entries(changes)) {
    app.post(
      `/sensors/:name/${verb}`,
      {
        config: { role: 'operator' },
        schema: {
          ...{ tags, summary, params: ByName, body: Closed({}) },
          response: { 200: Named<Sensor>('Sensor') },
        },
      },
      (request) => change(request.params.name, { name: callerOf(request).actor }),
    );
  }
  app.put(
    '/sensors/:name/cursor',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Set the cursor of a sensor, and forget its state' },
        ...{ params: ByName, body: CursorBody },
        response: { 200: Named<Sensor>('Sensor') },
      },
    },
    (request) =>
      sensors.setCursor(request.params.name, request.body.cursor, {
        name: callerOf(request).actor,
      }),
  );
}
