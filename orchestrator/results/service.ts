/** Artifacts and cached results as people look at them. */
import { Readable } from 'node:stream';
import type { Artifact } from '../../domain/artifact.ts';
import { ALL_ENVIRONMENTS, listPrefix } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import { readPageQuery, toPage } from '../catalog/page.ts';
import { checkRunId } from '../runs/identifiers.ts';
import type { RunInfos } from '../runs/run-info.ts';
import {
  type ArtifactRow,
  readArtifact,
  readArtifactContent,
  readArtifacts,
  readArtifactsOfRun,
} from '../store/artifact.ts';
import type { Db } from '../store/connection.ts';
import { forgetCached } from '../store/result-cache.ts';
import { readBlob } from './agent-calls.ts';
import type { BlobStore } from './blob-store.ts';
import type { ResultService } from './contract.ts';
import { readTaskContent } from './task-result.ts';

const ID = /^\d{1,18}$/;

export function createResultService(db: Db, store: BlobStore, infos: RunInfos): ResultService {
  const get = async (id: string): Promise<Artifact> => {
    const row = ID.test(id) ? await readArtifact(db, id) : undefined;
    if (!row) throw new SignalboxError('not-found', 'there is no such artifact');
    return toArtifact(row);
  };
  return {
    artifact: get,
    async artifactsOfRun(runId) {
      return (await readArtifactsOfRun(db, checkRunId(runId))).map(toArtifact);
    },
    async artifacts({ key = null, kind = null, environment, ...page }) {
      const { after, limit } = readPageQuery(page);
      if (after !== null && !ID.test(after)) throw new SignalboxError('invalid-cursor');
      const prefix = key === null ? listPrefix(environment) : ALL_ENVIRONMENTS;
      const rows = await readArtifacts(db, { key, kind, before: after, prefix }, limit + 1);
      return toPage(rows, limit, ({ id }) => id, toArtifact);
    },
    async artifactContent(id) {
      const artifact = await get(id);
      const found = await readArtifactContent(db, id);
      if (found?.content) return { artifact, content: await readBlob(store, found.content) };
      const bytes = found?.binary ?? Buffer.from(textOf(found?.value));
      return { artifact, content: Readable.from([bytes]) };
    },
    taskResult: (runId, taskKey) => readTaskContent({ db, infos, store }, runId, taskKey),
    forgetCached: (workflow, task) => forgetCached(db, workflow, task ?? null),
  };
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : `${JSON.stringify(value ?? null)}`;
}

function toArtifact({ bytes, createdAt, updatedAt, ...row }: ArtifactRow): Artifact {
  return {
    ...row,
    bytes: Number(bytes),
    ...{ createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() },
  };
}
