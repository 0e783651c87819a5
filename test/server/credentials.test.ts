import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { manualClock } from '../../domain/time.ts';
import { Credentials } from '../../server/auth/credentials.ts';
import { migrate } from '../../server/migrate.ts';
import { startTestPostgres, type TestPostgres } from '../support/postgres.ts';

let postgres: TestPostgres;
let db: pg.Pool;

beforeAll(async () => {
  postgres = await startTestPostgres();
  await migrate(postgres.url);
  db = new pg.Pool({ connectionString: postgres.url });
  db.on('error', () => undefined);
});
afterAll(async () => {
  await db.end();
  await postgres.stop();
});

it('refuses a token that another server revoked, also where the clock was set back since', async () => {
  const clock = manualClock(Date.UTC(2026, 0, 5, 12));
  const one = new Credentials(db, clock);
  const other = new Credentials(db, clock);
  const { token } = await one.createToken('ann', 'viewer', 'test');
  expect(await other.identify('token', token)).toMatchObject({ name: 'ann', role: 'viewer' });
  await one.revokeToken('ann');
  clock.advance(-3_600_000);
  expect(await other.identify('token', token)).toBeNull();
  one.close();
  other.close();
});
