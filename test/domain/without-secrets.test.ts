/** What messages of clients hold, and what is left of it in a record. */
import { describe, expect, it } from 'vitest';
import { withoutSecrets } from '../../domain/without-secrets.ts';
import { toRunError } from '../../orchestrator/agent/error-record.ts';

const AWS_KEY = `AKIA${'IOSFODNN7EXAMPLE'}`;
const SECRET = 'hunter2/Xy+z';

describe('a text is told without', () => {
  it.each([
    ['a URL of a database', 'connect postgres://ann:hunter2@db/shop', 'postgres://ann:***@db/shop'],
    [
      'an address without a user',
      'redis://:hunter2@cache:6379 refused',
      'redis://:***@cache:6379 refused',
    ],
    ['a header', 'sent Authorization: Bearer abc.def-123456', 'sent Authorization: Bearer ***'],
    [
      'a header of a code host',
      'Authorization: token 0123456789abcdef',
      'Authorization: token ***',
    ],
    ['a header of an API', 'x-api-key: 0123abcd rejected', 'x-api-key: *** rejected'],
    ['a header of a vault', 'X-Vault-Token: s.abcdef rejected', 'X-Vault-Token: *** rejected'],
    ['a cookie', 'Cookie: sid=abcdef; theme=dark', 'Cookie: ***'],
    ['an environment variable', `PGPASSWORD=${SECRET} psql`, 'PGPASSWORD=*** psql'],
    ['a form', 'client_id=me&client_secret=abc&x=1', 'client_id=me&client_secret=***&x=1'],
    ['an access token', 'GET /me?access_token=abc&limit=5', 'GET /me?access_token=***&limit=5'],
    [
      'a signed URL',
      'https://s3/x?X-Amz-Signature=ab12&X-Amz-Date=1',
      'https://s3/x?X-Amz-Signature=***&X-Amz-Date=1',
    ],
    [
      'keys of AWS',
      `aws_access_key_id=${AWS_KEY}\naws_secret_access_key=${SECRET}`,
      'aws_access_key_id=***\naws_secret_access_key=***',
    ],
    [
      'a connection string',
      `AccountName=a;AccountKey=${SECRET};EndpointSuffix=x`,
      'AccountName=a;AccountKey=***;EndpointSuffix=x',
    ],
    ['a quoted value', `host=db password='a b\\'c' user=ann`, 'host=db password=*** user=ann'],
    [
      'JSON',
      '{"user":"ann","password":"a \\"b\\" c","token":"x"}',
      '{"user":"ann","password":***,"token":***}',
    ],
    [
      'JSON within JSON',
      String.raw`body "{\"password\":\"a b\",\"ok\":1}"`,
      String.raw`body "{\"password\":***,\"ok\":1}"`,
    ],
    [
      'an object as Node shows it',
      "{ accessToken: 'abc', clientSecret: 'def' }",
      '{ accessToken: ***, clientSecret: *** }',
    ],
    [
      'a token that tells itself',
      `clone https://ghp_${'a'.repeat(36)}@github.com/x`,
      'clone https://***@github.com/x',
    ],
    ['a JSON web token', `got eyJhbGciOiJI.eyJzdWIiOiIx.abc-_1 back`, 'got *** back'],
    [
      'a private key',
      '-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nis bad',
      '*** RSA PRIVATE KEY ***\nis bad',
    ],
    [
      'a private key that was cut',
      'key -----BEGIN PRIVATE KEY-----\nMIIE',
      'key *** PRIVATE KEY ***',
    ],
  ])('what is secret in %s', (_what, text, told) => {
    expect(withoutSecrets(text)).toContain(told);
    expect(withoutSecrets(withoutSecrets(text))).toBe(withoutSecrets(text));
  });

  it.each([
    'Unexpected token < in JSON at position 0',
    'Unexpected token: found } where a name should be',
    'the secret: not found in namespace jobs',
    'max_tokens=4096 is more than the model takes',
    'password authentication failed for user "ann"',
    'GET http://127.0.0.1:4873/@scope/pkg answered 404',
    'ssh://git@example.org/repo refused',
    'authorization: permission denied',
    'duplicate key value violates unique constraint "order_pkey"',
  ])('nothing where there is no secret: %s', (text) => {
    expect(withoutSecrets(text)).toBe(text);
  });
});

describe('a recorded error', () => {
  it('holds no half of a secret that the end of a long message goes through', () => {
    for (let before = 9_900; before < 11_100; before += 37) {
      const message = `${'x'.repeat(before)} postgres://ann:${'s3cret'.repeat(20)}@db/shop ${'y'.repeat(5_000)}`;
      expect(toRunError(new Error(message)).message).not.toContain('s3cret');
    }
    const many = `postgres://ann:${'s3cret'.repeat(20)}@db `.repeat(200);
    expect(toRunError(new Error(many)).message).not.toContain('s3cret');
  });

  it('is made in little time of a long text that looks like many secrets', () => {
    const began = performance.now();
    for (const piece of [
      'password',
      'token"',
      '\\"',
      'a://b:',
      'cookie:',
      'eyJaaaaaaaa.',
      '-----BEGIN ',
      'secret=\\\\"',
    ]) {
      toRunError(new Error(piece.repeat(20_000)));
    }
    expect(performance.now() - began).toBeLessThan(3_000);
  });
});
