import { expect, test } from 'vitest';
import { createFollowingClock } from '../../server/database-clock.ts';

/** A look that took `tripMs`, at a monotonic time, with what PostgreSQL said in the middle of it. */
function look(askedAt: number, tripMs: number, databaseNow: number) {
  return { askedAt, answeredAt: askedAt + tripMs, databaseNow };
}

const START = Date.UTC(2026, 0, 1);

test('time goes on by the monotonic clock from where PostgreSQL stands', () => {
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
