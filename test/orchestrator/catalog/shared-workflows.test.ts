import { workflow } from 'signalbox';
import { describe, expect, it } from 'vitest';
import { isOwnName, isShared } from '../../../domain/shared-workflow.ts';
import { checkDefinition } from '../../../orchestrator/catalog/check-definition.ts';
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

  it('have names that no file may give to a workflow of its own, which is told without a server too', () => {
    for (const name of ['assets', 'asset-partitions', 'asset-checks', '~pr-1~asset-checks']) {
      expect(isOwnName(name)).toBe(true);
    }
    const own = workflow('asset-checks', {}, (w) => {
      w.task('one', {}, () => null);
    });
    expect(checkDefinition({ ...own.described, file: 'a.ts' })).toBe(
      "the name asset-checks is Signalbox's own: give the workflow another one",
    );
  });
});
