/** Detectors, their thresholds, and running them over what was recorded. */
import { Type } from 'typebox';
import { SignalboxError } from '../../domain/errors.ts';
import type { Finding } from '../../domain/finding.ts';
import { parseDuration } from '../../domain/time.ts';
import type { DetectorSummary } from '../../incidents/service.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { App } from '../http/app-type.ts';
import { pageOfWhole } from '../http/whole-list.ts';
import type { Parts } from '../parts.ts';
import { DetectorBody } from '../schemas/incidents.ts';
import { Closed, Duration, Name, Named, PageOf, pageFields, Time } from '../schemas/parts.ts';

const tags = ['detectors'];
const ById = Closed({ id: Name });
const MAX_BACKTEST_MS = 366 * 86_400_000;

const Findings = Type.Unsafe<{ findings: readonly (Finding & { at: string })[] }>(
  Type.Object({
    findings: Type.Array(
      Type.Object({
        at: Time,
        kind: Type.String(),
        fingerprint: Type.String(),
        subjects: Type.Array(Type.Unknown()),
        evidence: Type.Array(Type.Unknown()),
      }),
    ),
  }),
);

export function detectorRoutes(app: App, { incidents }: Parts): void {
  app.get(
    '/detectors',
    {
      config: { role: 'viewer' },
      schema: {
        ...{ tags, summary: 'All detectors with their settings and their last round' },
        querystring: Closed(pageFields),
        response: { 200: PageOf<DetectorSummary>('Detector') },
      },
    },
    async ({ query }) => pageOfWhole(await incidents.detectors(), query, ({ id }) => id),
  );
  app.put(
    '/detectors/:id',
    {
      config: { role: 'operator' },
      schema: {
        ...{ tags, summary: 'Thresholds, windows, holds; on or off', params: ById },
        body: DetectorBody,
        response: { 200: Named<DetectorSummary>('Detector') },
      },
    },
    (request) => incidents.setDetector(request.params.id, request.body, callerOf(request).actor),
  );
  app.post(
    '/detectors/:id/backtest',
    {
      config: { role: 'viewer', audit: false },
      schema: {
        ...{ tags, summary: 'Run it over what was recorded, by event time', params: ById },
        body: Closed({ from: Time, to: Time, step: Type.Optional(Duration) }),
        response: { 200: Findings },
      },
    },
    async (request) => {
      const { from, to, step } = request.body;
      const [fromMs, toMs] = [Date.parse(from), Date.parse(to)];
      if (toMs <= fromMs || toMs - fromMs > MAX_BACKTEST_MS) {
        throw new SignalboxError('invalid-request', undefined, [
          { path: '/to', message: 'must be after `from`, by at most 366 days' },
        ]);
      }
      const stepMs = step === undefined ? undefined : parseDuration(step);
      return { findings: await incidents.backtest(request.params.id, fromMs, toMs, stepMs) };
    },
  );
}
