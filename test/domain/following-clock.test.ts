import { expect, test } from 'vitest';
import { createFollowingClock } from '../../domain/following-clock.ts';

/** A look that took `tripMs`, at a monotonic time, with what was said in the middle of it. */
function look(askedAt: number, tripMs: number, remoteNow: number) {
  return { askedAt, answeredAt: askedAt + tripMs, remoteNow };
}

const START = Date.UTC(2026, 0, 1);

test('time goes on by the monotonic clock from what the other clock said', () => {
  let monotonic = 10;
  const clock = createFollowingClock(look(0, 10, START + 5), () => monotonic);
  expect(clock.now()).toBe(START + 10);
  monotonic = 1_010;
  expect(clock.now()).toBe(START + 1_010);
});

test('a slow answer that agrees does not replace a quick one', () => {
  let monotonic = 2;
  const clock = createFollowingClock(look(0, 2, START + 1), () => monotonic);
  monotonic = 600;
  clock.correct(look(100, 500, START + 400));
  expect(clock.now()).toBe(START + 600);
});

test('a look that disagrees by more than both can be wrong by is taken', () => {
  let monotonic = 2;
  const clock = createFollowingClock(look(0, 2, START + 1), () => monotonic);
  monotonic = 100;
  clock.correct(look(96, 4, START + 5_098));
  expect(clock.now()).toBe(START + 5_100);
});

test('a guess gives way to the first look, however slow', () => {
  let monotonic = 0;
  const guess = look(0, 0, START + 600_000);
  const clock = createFollowingClock(guess, () => monotonic, Number.POSITIVE_INFINITY);
  monotonic = 2_000;
  clock.correct(look(0, 2_000, START + 1_000));
  expect(clock.now()).toBe(START + 2_000);
});

test('small steps back are waited out, large ones are taken', () => {
  let monotonic = 1_000;
  const clock = createFollowingClock(look(0, 0, START), () => monotonic);
  expect(clock.now()).toBe(START + 1_000);
  clock.correct(look(1_000, 0, START + 500));
  expect(clock.now()).toBe(START + 1_000);
  monotonic = 1_600;
  expect(clock.now()).toBe(START + 1_100);
  clock.correct(look(1_600, 0, START - 3_600_000));
  expect(clock.now()).toBe(START - 3_600_000);
});
