/** What people set: detectors, modes of runbooks, the kill switch; and the newest round of each detector. */
import type { RunbookMode } from '../../domain/runbook.ts';
import type { Db } from './incidents.ts';

export interface DetectorSetting {
  readonly enabled: boolean;
  readonly settings: Readonly<Record<string, unknown>>;
}

export async function loadDetectorSettings(db: Db): Promise<ReadonlyMap<string, DetectorSetting>> {
  const { rows } = await db.query<DetectorSetting & { detector: string }>(
    'SELECT detector, enabled, settings FROM signalbox.detector_setting',
  );
  return new Map(rows.map(({ detector, enabled, settings }) => [detector, { enabled, settings }]));
}

/** Overlays what is set; what is not given stays. */
export async function saveDetectorSetting(
  db: Db,
  detector: string,
  value: { enabled: boolean | null; settings: Readonly<Record<string, unknown>> },
  actor: string,
  at: number,
): Promise<void> {
  await db.query(
    `INSERT INTO signalbox.detector_setting AS old (detector, enabled, settings, updated_at, updated_by)
     VALUES ($1, coalesce($2, true), $3, to_timestamp($4::float8 / 1000), $5)
     ON CONFLICT (detector) DO UPDATE
     SET enabled = coalesce($2, old.enabled), settings = old.settings || excluded.settings,
         updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
    [detector, value.enabled, JSON.stringify(value.settings), at, actor],
  );
}

export interface StoredRound {
  readonly detector: string;
  readonly at: number;
  readonly tookMs: number;
  readonly state: 'ok' | 'firing' | 'unknown' | 'failed' | 'off';
  readonly error: string | null;
}

/** One statement for the rounds of all detectors. */
export async function saveRounds(db: Db, rounds: readonly StoredRound[]): Promise<void> {
  await db.query(
    `INSERT INTO signalbox.detector_round (detector, at, took_ms, state, error)
     SELECT detector, to_timestamp(at / 1000), took_ms, state, error
     FROM unnest($1::text[], $2::float8[], $3::float8[], $4::text[], $5::text[]) AS r (detector, at, took_ms, state, error)
     ON CONFLICT (detector) DO UPDATE
     SET at = excluded.at, took_ms = excluded.took_ms, state = excluded.state, error = excluded.error`,
    [
      rounds.map((round) => round.detector),
      rounds.map((round) => round.at),
      rounds.map((round) => round.tookMs),
      rounds.map((round) => round.state),
      rounds.map((round) => round.error),
    ],
  );
}

export async function loadRounds(db: Db): Promise<ReadonlyMap<string, StoredRound>> {
  const { rows } = await db.query<{
    detector: string;
    at: Date;
    took_ms: number;
    state: StoredRound['state'];
    error: string | null;
  }>('SELECT detector, at, took_ms, state, error FROM signalbox.detector_round');
  return new Map(
    rows.map(({ detector, at, took_ms: tookMs, state, error }) => [
      detector,
      { detector, at: at.getTime(), tookMs, state, error },
    ]),
  );
}

export async function loadModes(db: Db): Promise<ReadonlyMap<string, RunbookMode>> {
  const { rows } = await db.query<{ runbook: string; mode: RunbookMode }>(
    'SELECT runbook, mode FROM signalbox.runbook_mode',
  );
  return new Map(rows.map(({ runbook, mode }) => [runbook, mode]));
}

export async function saveMode(
  db: Db,
  runbook: string,
  mode: RunbookMode,
  actor: string,
  at: number,
): Promise<void> {
  await db.query(
    `INSERT INTO signalbox.runbook_mode (runbook, mode, updated_at, updated_by)
     VALUES ($1, $2, to_timestamp($3::float8 / 1000), $4)
     ON CONFLICT (runbook) DO UPDATE
     SET mode = excluded.mode, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
    [runbook, mode, at, actor],
  );
}

export async function loadKillSwitch(db: Db): Promise<boolean> {
  const { rows } = await db.query<{ is_on: boolean }>('SELECT is_on FROM signalbox.kill_switch');
  return rows[0]?.is_on ?? false;
}

export async function saveKillSwitch(
  db: Db,
  on: boolean,
  actor: string,
  at: number,
): Promise<void> {
  await db.query(
    `INSERT INTO signalbox.kill_switch (is_on, updated_at, updated_by)
     VALUES ($1, to_timestamp($2::float8 / 1000), $3)
     ON CONFLICT (one) DO UPDATE
     SET is_on = excluded.is_on, updated_at = excluded.updated_at, updated_by = excluded.updated_by`,
    [on, at, actor],
  );
}
