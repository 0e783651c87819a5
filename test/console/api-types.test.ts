/**
 * The console may not import the server's parts, so it writes their answers' shapes anew. Here the compiler
 * compares them; the test itself only makes the file a test.
 */
import { expect, it } from 'vitest';
import type * as console from '../../console/src/api/types.ts';
import type { DetectorSummary, RunbookSummary } from '../../incidents/service.ts';
import type {
  LineageGraph,
  Page,
  QueueSetting,
  QueueSummary,
  WorkflowDetail,
  WorkflowSummary,
} from '../../orchestrator/service.ts';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

const same: [
  Same<console.WorkflowSummary, WorkflowSummary>,
  Same<console.WorkflowDetail, WorkflowDetail>,
  Same<console.QueueSummary, QueueSummary>,
  Same<console.QueueSetting, QueueSetting>,
  Same<console.LineageGraph, LineageGraph>,
  Same<console.DetectorSummary, DetectorSummary>,
  Same<console.RunbookSummary, RunbookSummary>,
  Same<console.Page<string>, Page<string>>,
] = [true, true, true, true, true, true, true, true];

it('has the types that the server answers with', () => {
  expect(same).not.toContain(false);
});
