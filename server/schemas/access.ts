/** Tokens, sessions and the audit trail as the API gives them. */
import { Type } from 'typebox';
import { ENVIRONMENT_PATTERN } from '../../domain/environment.ts';
import { ROLES } from '../auth/roles.ts';
import { Closed, Nullable, OneOf, Time } from './parts.ts';

const Identity = Type.Object({
  name: Type.String(),
  role: OneOf(ROLES),
  actor: Type.String(),
});

const Token = Type.Object({
  name: Type.String(),
  role: OneOf(ROLES),
  createdBy: Type.String(),
  createdAt: Time,
  lastUsedAt: Nullable(Time),
  environment: Nullable(Type.String()),
});

const CreatedToken = Type.Object({ ...Token.properties, token: Type.String() });

const AuditEntry = Type.Object({
  id: Type.String(),
  at: Time,
  actor: Type.String(),
  role: Type.String(),
  action: Type.String(),
  subject: Type.String(),
  outcome: Type.String(),
  status: Type.Integer(),
  request: Type.String(),
});

const Secret = Type.String({ minLength: 10, maxLength: 200 });

export const LoginBody = Type.Unsafe<{ code?: string; token?: string }>({
  type: 'object',
  additionalProperties: false,
  properties: { code: Secret, token: Secret },
  minProperties: 1,
  maxProperties: 1,
});

export const TokenBody = Closed({
  name: Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$' }),
  role: OneOf(ROLES),
  environment: Type.Optional(Type.String({ pattern: ENVIRONMENT_PATTERN })),
});

export const ACCESS_SCHEMAS = { Identity, Token, CreatedToken, AuditEntry };
