/** Automation of assets as the API gives it. */
import { Type } from 'typebox';
import { AUTOMATION_DECISIONS, AUTOMATION_REASONS } from '../../domain/automation.ts';
import { AnyObject, Nullable, OneOf, Time } from './parts.ts';

const Reason = Type.Object({
  code: OneOf(AUTOMATION_REASONS),
  message: Type.String({ description: 'in words, such as "waits for …"' }),
  upstream: Type.Optional(Type.String()),
  runId: Type.Optional(Type.String()),
  until: Type.Optional(Time),
});

const summary = {
  state: OneOf([...AUTOMATION_DECISIONS, 'pending', 'error'] as const),
  reason: Nullable(Reason),
  paused: Type.Boolean(),
  heldSince: Nullable(Time),
  held: Type.Integer({ description: 'partitions that are held back' }),
  overdue: Type.Boolean({ description: 'held back for longer than it may be without being told' }),
};

/** As lists of assets show it. */
export const AutomationSummary = Type.Object(summary);

const AutomationPause = Type.Object({ at: Time, by: Type.String(), all: Type.Boolean() });

const AutomationNode = Type.Object({
  kind: Type.String(),
  label: Type.String(),
  met: Type.Boolean(),
  detail: Nullable(Type.String()),
  evidence: Type.Optional(AnyObject),
  of: Type.Optional(Type.Array(Type.Unknown({ description: 'a node of the same form' }))),
});

const AutomationEvaluation = Type.Object({
  id: Type.String(),
  assetKey: Type.String(),
  partition: Nullable(Type.String()),
  at: Time,
  decision: OneOf(AUTOMATION_DECISIONS),
  reason: Reason,
  condition: Nullable(AutomationNode),
  gates: Type.Array(AutomationNode),
  runId: Nullable(Type.String()),
});

const AssetAutomation = Type.Object({
  ...summary,
  assetKey: Type.String(),
  definition: Type.Object({
    condition: AnyObject,
    tellAfterMs: Type.Integer(),
    partitions: Type.Integer(),
    maxPartitionsPerRound: Type.Integer(),
    waitForUpstreams: Type.Boolean(),
  }),
  text: Type.String({ description: 'the condition as code has it' }),
  summary: Type.String(),
  since: Nullable(Time),
  pause: Nullable(AutomationPause),
  evaluatedAt: Nullable(Time),
  nextTickAt: Nullable(Time),
  lastRequest: Nullable(
    Type.Object({ runId: Type.String(), at: Time, partition: Nullable(Type.String()) }),
  ),
  error: Nullable(Type.String()),
  current: Type.Array(AutomationEvaluation),
});

const AutomationStanding = Type.Object({
  pause: Nullable(AutomationPause),
});

export const AUTOMATION_SCHEMAS = { AutomationEvaluation, AssetAutomation, AutomationStanding };
