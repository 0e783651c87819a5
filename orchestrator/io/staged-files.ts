/** Versions that are files, staged and published: one, or those of several partitions in one step. */
import { randomUUID } from 'node:crypto';
import type { IoManager, RangeContext, StagedVersion, WriteContext } from '../define/io.ts';
import { publishFiles, type StagedFile } from './versioned-files.ts';

export interface StagedAsFile extends Pick<StagedVersion, 'written' | 'read'> {
  readonly file: StagedFile;
}

type Stage = (context: WriteContext, value: unknown) => Promise<StagedAsFile>;

/** The part of an IO manager that writes. */
export function stagerOfFiles(
  directory: string,
  stage: Stage,
): Required<Pick<Extract<IoManager, { stage: unknown }>, 'stage' | 'stageRange'>> {
  const publish = (assetKey: string, files: readonly StagedFile[]) =>
    publishFiles({ directory, assetKey }, files, randomUUID());
  return {
    async stage(context, value) {
      const { file, written, read } = await stage(context, value);
      return {
        ...{ written, read, discard: () => file.discard() },
        publish: () => publish(context.assetKey, [file]),
      };
    },
    async stageRange({ partitionKeys: _, ...context }: RangeContext) {
      const files = new Map<string, StagedFile>();
      return {
        async stage(partitionKey, value) {
          const { file, written, read } = await stage({ ...context, partitionKey }, value);
          await files.get(partitionKey)?.discard();
          files.set(partitionKey, file);
          return { written, read };
        },
        publish: () => publish(context.assetKey, [...files.values()]),
        async discard() {
          for (const file of files.values()) await file.discard();
        },
      };
    },
  };
}
