import { expect, test } from "vitest";
import { Random } from "../src/index.ts";

const drawn = (random: Random): number[] => Array.from({ length: 20 }, () => random.next());

test("Random draws the same from the same seed, and other things from another", () => {
  expect(drawn(new Random(7))).toEqual(drawn(new Random(7)));
  expect(drawn(new Random(7))).not.toEqual(drawn(new Random(8)));
  // Pinned: a seed noted today names the same run tomorrow, on every machine.
  expect([...new Random("pinned").bytes(8)]).toEqual([151, 75, 2, 98, 207, 173, 201, 78]);
});

test("Random.fork() gives a stream that others' draws do not shift", () => {
  const one = new Random(7);
  const other = new Random(7);
  drawn(other.fork("network"));
  drawn(other);
  expect(drawn(one.fork("disk"))).toEqual(drawn(other.fork("disk")));
  expect(drawn(one.fork("disk"))).not.toEqual(drawn(one.fork("disks")));
});

test("Random keeps to its bounds and spreads over them", () => {
  const random = new Random(1);
  const counts = new Map<number, number>();
  for (let turn = 0; turn < 6_000; turn++) {
    const value = random.between(3, 8);
    counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  expect([...counts.keys()].toSorted()).toEqual([3, 4, 5, 6, 7, 8]);
  for (const count of counts.values()) expect(count).toBeGreaterThan(800);
  expect(random.shuffle([1, 2, 3, 4]).toSorted()).toEqual([1, 2, 3, 4]);
  expect(() => random.pick([])).toThrow(RangeError);
});
