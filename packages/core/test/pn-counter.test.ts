import * as fc from "fast-check";
import { expect, test } from "vitest";
import { PNCounter, type PNCounterTotals } from "../src/index.ts";

const MAX = Number.MAX_SAFE_INTEGER;
const overflow = expect.objectContaining({ code: "COUNTER_OVERFLOW" });

test("CORE-9 scenario 36: retried operations and replicas that restart under new ids: the exact sum", () => {
  const step = fc.record({
    writer: fc.nat(2),
    by: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
    restarts: fc.boolean(),
    retries: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.infiniteStream(fc.nat(1_000)), (steps, random) => {
      const writers = [1, 2, 3].map((id) => ({ id, counter: new PNCounter() }));
      const sent: PNCounterTotals[] = [];
      let next = 4;
      let sum = 0n;
      for (const { writer, by, restarts, retries } of steps) {
        const one = writers[writer]!;
        if (restarts) {
          // What it held is lost, and so is its number: what it had counted comes back from the others.
          one.counter = new PNCounter();
          one.id = next++;
        }
        const { counter, id } = one;
        const operation = by < 0 ? counter.decrement(id, -by) : counter.increment(id, by);
        for (let copy = 0; copy <= retries; copy++) sent.push(operation);
        sum += BigInt(by);
      }
      for (const { counter } of writers) {
        const order = sent
          .map((one) => [random.next().value as number, one] as const)
          .sort(([a], [b]) => a - b);
        for (const [, operation] of order) counter.apply(operation);
        expect(BigInt(counter.value)).toBe(sum);
      }
      const encoded = writers.map(({ counter }) => Buffer.from(counter.encode()).toString("hex"));
      expect(new Set(encoded).size).toBe(1);
    }),
    { numRuns: 300 },
  );
});

test("CORE-9 scenario 36: a total past 2^53-1 is a typed overflow that changes nothing, and so is a sum", () => {
  const counter = new PNCounter();
  counter.increment(1, MAX);
  expect(() => counter.increment(1)).toThrow(overflow);
  expect(counter.value).toBe(MAX);
  counter.increment(2);
  expect(() => counter.value).toThrow(overflow);
  // Others may bring it back: nothing was lost.
  counter.decrement(3, 2);
  expect(counter.value).toBe(MAX - 1);
});
