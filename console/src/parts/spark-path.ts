/** The path of a sparkline: time across, steps where values change, since a sample holds until the next. */
interface Sample {
  readonly atMs: number;
  readonly value: number;
}

export function sparkPath(
  samples: readonly Sample[],
  width: number,
  y: (value: number) => number,
): string {
  const first = samples[0];
  const last = samples.at(-1);
  if (!first || !last) return '';
  const span = last.atMs - first.atMs;
  if (span === 0) return `M0 ${round(y(last.value))}H${width}`;
  const x = (sample: Sample) => round(((sample.atMs - first.atMs) / span) * width);
  const [start, ...rest] = samples.map((sample) => `${x(sample)} ${round(y(sample.value))}`);
  return `M${start}${rest.map((point) => `L${point}`).join('')}`;
}

const round = (value: number) => Math.round(value * 10) / 10;
