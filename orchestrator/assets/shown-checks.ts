/** Checks of an asset as they are shown, with the latest word of each; and what was seen of it elsewhere. */
import { type Asset, checkStateOf } from '../../domain/asset.ts';
import type { AssetRow } from '../store/asset.ts';

/** Checks that are declared, with the asset or apart from it, and those that were only ever seen. */
export function checksOf(
  row: AssetRow,
): Pick<Asset, 'checks' | 'checkState' | 'io' | 'lastObservation'> {
  const states = new Map(row.check_states.map((state) => [state.name, state]));
  const declared = [...row.checks, ...row.other_checks].filter(
    ({ name }, index, all) => all.findIndex((one) => one.name === name) === index,
  );
  const shown = declared.map(({ name, blocking, severity = 'error' }) => {
    const state = states.get(name);
    states.delete(name);
    const at = state ? new Date(state.at).toISOString() : null;
    const metadata = state?.metadata ?? null;
    return { name, passed: state?.passed ?? null, blocking, severity, at, metadata };
  });
  const seen = [...states.values()].map((state) => ({
    ...state,
    at: new Date(state.at).toISOString(),
  }));
  const checks = [...shown, ...seen];
  return {
    checks,
    checkState: checkStateOf(checks),
    io: row.io,
    lastObservation: row.last_observation && {
      at: row.last_observation.at && new Date(row.last_observation.at).toISOString(),
      recordedAt: new Date(row.last_observation.recorded_at).toISOString(),
      dataVersion: row.last_observation.data_version,
    },
  };
}
