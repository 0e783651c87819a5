/** All runbooks. The first that handles an incident is the one that answers it. */
import type { Runbook } from '../domain/runbook.ts';
import { duplicateCancel } from './duplicate-cancel.ts';
import { fallbackRematerialize } from './fallback-rematerialize.ts';
import { poolResize } from './pool-resize.ts';
import { requeueLost } from './requeue-lost.ts';

export const runbooks: readonly Runbook[] = [
  poolResize,
  duplicateCancel,
  fallbackRematerialize,
  requeueLost,
];
