/** Incidents and what people say to them. */
import { Type } from 'typebox';
import { INCIDENT_KINDS } from '../../domain/finding.ts';
import { INCIDENT_STATUSES, type Incident } from '../../domain/incident.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { ReasonBody } from '../schemas/incidents.ts';
import { Closed, Named, OneOf, PageOf, pageFields, Text } from '../schemas/parts.ts';

const tags = ['incidents'];
const ById = Closed({ id: Type.String({ minLength: 1, maxLength: 100 }) });
const response = { 200: Named<Incident>('Incident') };

export function incidentRoutes(app: App, { incidents }: Parts): void {
  app.get(
    '/incidents',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Incidents, newest first' },
        querystring: Closed({
          ...pageFields,
          status: Type.Optional(OneOf(INCIDENT_STATUSES)),
          kind: Type.Optional(OneOf(INCIDENT_KINDS)),
        }),
        response: { 200: PageOf<Incident>('Incident') },
      },
    },
    (request) => incidents.list(request.query),
  );
  app.get(
    '/incidents/:id',
    {
      config: { role: 'viewer' },
      schema: { tags, summary: 'One incident with evidence and timeline', params: ById, response },
    },
    (request) => incidents.get(request.params.id),
  );
  app.post(
    '/incidents/:id/acknowledge',
    {
      config: { role: 'operator' },
      schema: { tags, summary: 'Somebody looks at it', params: ById, body: Closed({}), response },
    },
    (request) => incidents.acknowledge(request.params.id, callerOf(request).actor),
  );
  app.post(
    '/incidents/:id/resolve',
    {
      config: { role: 'operator' },
      schema: { tags, summary: 'Resolve it by hand', params: ById, body: ReasonBody, response },
    },
    (request) => incidents.resolve(request.params.id, callerOf(request).actor, request.body.reason),
  );
  app.post(
    '/incidents/:id/notes',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Add a note to the timeline', params: ById },
        ...{ body: Closed({ text: Text }), response },
      },
    },
    (request) => incidents.note(request.params.id, callerOf(request).actor, request.body.text),
  );
}
