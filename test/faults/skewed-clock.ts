/** Preloaded into a process whose machine's clock is to be wrong: by SIGNALBOX_TEST_SKEW_MS milliseconds. */
const skewMs = Number(process.env['SIGNALBOX_TEST_SKEW_MS'] ?? 0);
const RealDate = Date;
const realNow = Date.now;

class SkewedDate extends RealDate {
  constructor(...values: readonly unknown[]) {
    if (values.length === 0) super(realNow() + skewMs);
    else super(...(values as [string]));
  }

  static override now(): number {
    return realNow() + skewMs;
  }
}

globalThis.Date = SkewedDate as DateConstructor;
