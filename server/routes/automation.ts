/** Automation of assets: why one is made or not, what was found before, pausing it. */
import { Type } from 'typebox';
import {
  type AssetAutomation,
  AUTOMATION_DECISIONS,
  type AutomationEvaluation,
  type AutomationPause,
} from '../../domain/automation.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import type { Parts } from '../parts.ts';
import { PartitionKey } from '../schemas/partitions.ts';
import { Closed, Key, Named, OneOf, PageOf, pageFields } from '../schemas/parts.ts';

const tags = ['automation'];
const ByKey = Closed({ key: Key });

interface Standing {
  readonly pause: AutomationPause | null;
}

export function automationRoutes(app: App, { orchestrator }: Parts): void {
  const { automation } = orchestrator;
  app.get(
    '/assets/:key/automation',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Why the asset is made or not, as a tree', params: ByKey },
        response: { 200: Named<AssetAutomation>('AssetAutomation') },
      },
    },
    (request) => automation.get(request.params.key),
  );
  app.get(
    '/assets/:key/automation/evaluations',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Looks that found something new, the latest first', params: ByKey },
        querystring: Closed({
          ...pageFields,
          partition: Type.Optional(PartitionKey),
          decision: Type.Optional(OneOf(AUTOMATION_DECISIONS)),
        }),
        response: { 200: PageOf<AutomationEvaluation>('AutomationEvaluation') },
      },
    },
    (request) => automation.evaluations(request.params.key, request.query),
  );
  app.get(
    '/automation',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'Whether all automation is paused' },
        response: { 200: Named<Standing>('AutomationStanding') },
      },
    },
    async () => ({ pause: await automation.pauseOfAll() }),
  );
  pauseRoutes(app, automation);
}

function pauseRoutes(app: App, automation: Parts['orchestrator']['automation']): void {
  for (const [verb, words, paused] of [
    ['pause', 'Pause', true],
    ['resume', 'Resume', false],
  ] as const) {
    app.post(
      `/assets/:key/automation/${verb}`,
      {
        config: { role: 'operator' },
        schema: {
          ...{ tags, summary: `${words} the automation of an asset` },
          ...{ params: ByKey, body: Closed({}) },
          response: { 200: Named<AssetAutomation>('AssetAutomation') },
        },
      },
      (request) =>
        automation.setPaused(request.params.key, paused, { name: callerOf(request).actor }),
    );
    app.post(
      `/automation/${verb}`,
      {
        config: { role: 'operator' },
        schema: {
          ...{ tags, summary: `${words} all automation`, body: Closed({}) },
          response: { 200: Named<Standing>('AutomationStanding') },
        },
      },
      async (request) => ({
        pause: await automation.setAllPaused(paused, { name: callerOf(request).actor }),
      }),
    );
  }
}
