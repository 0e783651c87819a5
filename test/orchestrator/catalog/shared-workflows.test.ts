import { describe, expect, it } from 'vitest';
import { isShared } from '../../../domain/shared-workflow.ts';
import { sharedWorkflowsOf } from '../../../orchestrator/catalog/shared-workflows.ts';

describe('workflows whose runs make several assets', () => {
  it('are those of the environment that the assets are of, each once', () => {
    expect(sharedWorkflowsOf(['shop/raw', 'shop/clean'])).toEqual(['assets', 'asset-partitions']);
    expect(sharedWorkflowsOf(['~pr-1~shop/raw'])).toEqual([
      '~pr-1~assets',
      '~pr-1~asset-partitions',
    ]);
    expect(sharedWorkflowsOf(['~pr-1~shop/raw', 'shop/raw', '~pr-1~shop/clean'])).toHaveLength(4);
  });

  it('are told from workflows of people in every environment', () => {
    expect(['assets', '~pr-1~assets', '~pr-1~asset-partitions'].every(isShared)).toBe(true);
    expect(['my-assets', '~pr-1~my~assets', '~pr-1~daily'].some(isShared)).toBe(false);
  });
});
