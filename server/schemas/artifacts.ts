/** Artifacts, large results and the cache, as the API takes and gives them. */
import { Type } from 'typebox';
import { ARTIFACT_KINDS, MAX_ARTIFACT_BYTES } from '../../domain/artifact.ts';
import type { CacheRequest } from '../../domain/result.ts';
import { Closed, Key, Nullable, OneOf, Time } from './parts.ts';

const MAX_TITLE = 500;
const MAX_CHARACTERS = 262_144;
const Id = Type.String({ minLength: 1, maxLength: 100 });
const Token = Type.String({ pattern: '^\\d{1,18}$' });
const RunId = Type.String({ format: 'uuid' });
const Sha256 = Type.String({ pattern: '^[0-9a-f]{64}$' });
const BlobName = Type.String({ pattern: '^[a-z0-9-]{1,128}$' });

export const BlobPath = Type.Object({ sessionId: Id, runId: RunId, name: BlobName });
export const BlobQuery = Closed({ sha256: Sha256 });
export const StoreQuery = Closed({ store: Type.String({ minLength: 1, maxLength: 500 }) });

const CacheName = Type.String({ minLength: 1, maxLength: 1_000 });
const inCache = { runId: RunId, taskKey: Key, name: CacheName, hash: Sha256 };
export const CacheBody = Type.Unsafe<CacheRequest>(
  Type.Union([
    Closed({ op: Type.Literal('get'), ...inCache, attempt: Type.Integer({ minimum: 1 }) }),
    Closed({
      ...{ op: Type.Literal('put'), ...inCache, token: Token, result: Type.Unknown() },
      expiresInMs: Nullable(Type.Number({ minimum: 0 })),
    }),
  ]),
);

const Reference = Type.Object({
  $signalbox: Type.Literal('result'),
  store: Type.String({ maxLength: 500 }),
  key: Type.String({ maxLength: 200 }),
  bytes: Type.Integer({ minimum: 0 }),
  sha256: Sha256,
  type: OneOf(['json', 'binary']),
});

export const ArtifactBody = Closed({
  runId: RunId,
  taskKey: Key,
  token: Token,
  key: Type.String({ minLength: 1, maxLength: 250 }),
  kind: OneOf(ARTIFACT_KINDS),
  title: Type.Optional(Type.String({ maxLength: MAX_TITLE })),
  mime: Type.String({ pattern: '^[a-z0-9.+-]{1,60}/[a-z0-9.+-]{1,60}$' }),
  bytes: Type.Integer({ minimum: 0, maximum: MAX_ARTIFACT_BYTES }),
  value: Type.Optional(Type.Unknown()),
  base64: Type.Optional(Type.String({ maxLength: MAX_CHARACTERS, pattern: '^[A-Za-z0-9+/=]*$' })),
  content: Type.Optional(Reference),
});

const Artifact = Type.Object({
  id: Type.String(),
  key: Type.String(),
  kind: OneOf(ARTIFACT_KINDS),
  title: Nullable(Type.String()),
  runId: Type.String(),
  workflow: Nullable(Type.String()),
  taskKey: Type.String(),
  version: Type.Integer({ description: 'counts what was made under the key, by any run' }),
  mime: Type.String(),
  bytes: Type.Integer(),
  createdAt: Time,
  updatedAt: Time,
  value: Type.Unknown({ description: 'of small ones; null where `content` has it' }),
});

export const ARTIFACT_SCHEMAS = { Artifact };
