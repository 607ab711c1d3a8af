import { expect, test } from "vitest";
import { Random, VirtualTime } from "../src/index.ts";

const timeOf = (seed: number): VirtualTime => new VirtualTime(new Random(seed));

test("VirtualTime passes from event to event, each with all that follows from it", async () => {
  const time = timeOf(1);
  const seen: string[] = [];
  time.setTimer(3_600_000, () => void seen.push(`later ${time.now()}`));
  time.setTimer(10, () => {
    // More than one turn of promises: all of it belongs to this step.
    void (async () => {
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
      seen.push(`soon ${time.now()}`);
    })();
  });
  const taken = time.setTimer(5, () => void seen.push("taken back"));
  taken();
  expect(await time.step()).toBe(true);
  expect(seen).toEqual(["soon 10"]);
  expect(await time.step()).toBe(true);
  expect(seen).toEqual(["soon 10", "later 3600000"]);
  expect(await time.step()).toBe(false);
  expect(time.steps).toBe(2);
});

test("VirtualTime orders events of one moment by the seed, and others by time", async () => {
  const orderOf = async (seed: number): Promise<number[]> => {
    const time = timeOf(seed);
    const order: number[] = [];
    for (let number = 0; number < 8; number++)
      time.setTimer(number < 6 ? 7 : 3, () => void order.push(number));
    await time.advance(10);
    return order;
  };
  const one = await orderOf(1);
  expect(await orderOf(1)).toEqual(one);
  expect(one.slice(0, 2).toSorted()).toEqual([6, 7]);
  const orders = new Set<string>();
  for (let seed = 0; seed < 10; seed++) orders.add((await orderOf(seed)).join());
  expect(orders.size).toBeGreaterThan(5);
});

test("VirtualTime.until() settles like what it waits for, and says when that cannot come", async () => {
  const time = timeOf(1);
  expect(await time.until(time.sleep(50).then(() => 7))).toBe(7);
  await expect(time.until(Promise.reject(new Error("no")))).rejects.toThrow("no");
  const never = new Promise<void>(() => undefined);
  await expect(time.until(never)).rejects.toMatchObject({ code: "SIMULATION_STUCK" });
  const again = (): void => void time.setTimer(100, again);
  again();
  await expect(time.until(never, { limitMs: 5_000 })).rejects.toMatchObject({ code: "SIMULATION_STUCK" });
  expect(time.now()).toBeLessThanOrEqual(5_050);
  const at = (): void => void time.setTimer(0, at);
  at();
  await expect(time.until(never, { stepsMax: 100 })).rejects.toMatchObject({ code: "SIMULATION_STUCK" });
});

test("VirtualTime.afterStep() is called once all promises are drained, and may end the step", async () => {
  const time = timeOf(1);
  let settled = 0;
  const seen: number[] = [];
  const stop = time.afterStep(() => void seen.push(settled));
  time.setTimer(1, () => void Promise.resolve().then(() => (settled += 1)));
  time.setTimer(2, () => void Promise.resolve().then(() => (settled += 1)));
  await time.step();
  await time.step();
  expect(seen).toEqual([1, 2]);
  stop();
  time.afterStep(() => {
    throw new Error("violated");
  });
  time.setTimer(1, () => undefined);
  await expect(time.step()).rejects.toThrow("violated");
});
