import fc from "fast-check";
import { expect, test } from "vitest";
import { formatLane, parseLane } from "../src/index.ts";
import { LaneState } from "../src/lane.ts";

const lane = (): LaneState => new LaneState({ region: 1, epoch: 1 }, "r", new Uint8Array(7), 0, "s");

test("SES-2 the high-water mark is the highest contiguous number, whatever the order (scenario 14)", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 60 }), (numbers) => {
      const state = lane();
      const seen = new Set<number>();
      for (const seqno of numbers) {
        state.add(seqno);
        seen.add(seqno);
        let hwm = 0;
        while (seen.has(hwm + 1)) hwm += 1;
        expect(state.hwm).toBe(hwm);
        for (let number = 1; number <= 31; number++) expect(state.has(number)).toBe(seen.has(number));
        expect(state.highest).toBe(Math.max(0, ...seen));
        // The ranges are as few as they can be.
        const ranges = [...seen].filter((number) => number > hwm && !seen.has(number - 1)).length;
        expect(state.ahead?.length ?? 0).toBe(ranges);
      }
    }),
    { numRuns: 400 },
  );
});

test("SES-2 7 before 6 loses nothing: it waits as an exception until the hole fills (scenario 14)", () => {
  const state = lane();
  for (const seqno of [1, 2, 3, 4, 5, 7]) state.add(seqno);
  expect([state.hwm, state.ahead]).toEqual([5, [{ from: 7, to: 7 }]]);
  state.add(6);
  expect([state.hwm, state.ahead]).toEqual([7, undefined]);
});

test("SES-1 a lane has one text form, which sorts, and parses strictly", () => {
  const client = { producer: "00112233445566778899aabbccddeeff", epoch: 4_294_967_295 };
  expect(formatLane({ region: 1, epoch: 7 })).toBe("r00001-e0000000007");
  expect(formatLane(client)).toBe("w00112233445566778899aabbccddeeff-e4294967295");
  expect(parseLane(formatLane(client))).toEqual(client);
  expect(parseLane("r00001-e0000000007")).toEqual({ region: 1, epoch: 7 });
  for (const text of [
    "",
    "r1-e7",
    "r65536-e0000000007",
    "r00001-e4294967296",
    "w00-e0000000001",
    "r00001-e0000000007 ",
  ]) {
    expect(parseLane(text)).toBeUndefined();
  }
});
