/**
 * What a version was made from, as it is stored and compared. A version made from very many partitions of one
 * upstream keeps only the newest of them: anything that is recorded there later has changed it.
 */
import type { InputVersion } from '../../../domain/partition.ts';
import type { InputRow } from '../../store/partition.ts';

/** Partitions of one upstream that are kept one by one. */
const MAX_APART = 400;
const PACKED = '#';

export function packInputs(inputs: readonly InputVersion[]): readonly InputRow[] {
  return [...Map.groupBy(inputs, (input) => input.assetKey)].flatMap(([key, of]): InputRow[] => {
    if (of.length <= MAX_APART) {
      return of.map((one) => [one.assetKey, one.partition, one.id, one.dataVersion]);
    }
    const [newest = ''] = of
      .map((one) => one.id)
      .sort()
      .reverse();
    return [[key, null, newest, `${PACKED}${of.length}`]];
  });
}

export function isPacked([, , , dataVersion]: InputRow): boolean {
  return dataVersion.startsWith(PACKED);
}

export function unpackInputs(rows: readonly InputRow[]): readonly InputVersion[] {
  return rows.map(([assetKey, partition, id, dataVersion]) => ({
    ...{ assetKey, partition, id, dataVersion },
  }));
}
