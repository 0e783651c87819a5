/** All detectors, in the order in which they are shown. */
import type { Detector } from '../../domain/finding.ts';
import { agentLost } from './agent-lost.ts';
import { duplicateRuns } from './duplicate-runs.ts';
import { poolExhaustion } from './pool-exhaustion.ts';
import { staleAsset } from './stale-asset.ts';

export const detectors: readonly Detector[] = [
  poolExhaustion,
  duplicateRuns,
  staleAsset,
  agentLost,
];
