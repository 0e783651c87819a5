/** Colours, on a terminal only: what goes to a file or another program has none. NO_COLOR and FORCE_COLOR win. */
import picocolors from 'picocolors';

const { env, stdout } = process;
const isWanted = env['FORCE_COLOR'] ? env['FORCE_COLOR'] !== '0' : stdout.isTTY === true;

export const colors = picocolors.createColors(
  isWanted && !env['NO_COLOR'] && env['TERM'] !== 'dumb',
);
