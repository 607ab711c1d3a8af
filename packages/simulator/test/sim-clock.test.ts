import { expect, test } from "vitest";
import { SimClock } from "../src/index.ts";

test("SimClock is off, jumps, stands still and drifts as told, and is put right", () => {
  let now = 0;
  const clock = new SimClock({ now: () => now, baseMs: 1_000_000, skewMs: -5_000 });
  const after = (ms: number): number => {
    now += ms;
    return clock.now() - 1_000_000 - now;
  };
  expect(after(100)).toBe(-5_000);
  clock.jump(3_600_000);
  expect(after(100)).toBe(3_595_000);
  clock.freeze();
  expect(after(2_000)).toBe(3_593_000);
  clock.jump(-1_000);
  expect(after(0)).toBe(3_592_000);
  clock.thaw();
  expect(after(50)).toBe(3_592_000);
  clock.drift(2);
  expect(after(100)).toBe(3_592_100);
  expect(clock.offMs).toBe(3_592_100);
  clock.adjust();
  expect(after(100)).toBe(0);
  expect(() => clock.drift(0)).toThrow(RangeError);
});
