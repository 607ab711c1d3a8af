import fc from "fast-check";
import { expect, test } from "vitest";
import { comparePositions, EffectList, type OpPosition } from "../src/effect-list.ts";
import { LaneState } from "../src/lane.ts";

const LANES = [1, 2].map(
  (region) => new LaneState({ region, epoch: 1 }, `r${region}`, new Uint8Array(7), region, "s"),
);

const position = fc
  .record({ wallMs: fc.nat(8), lane: fc.nat(1), seqno: fc.nat(3), key: fc.nat(255) })
  .map(({ wallMs, lane, seqno, key }): OpPosition => ({
    stamp: { wallMs, counter: 0, clockId: 0 },
    lane: LANES[lane]!,
    seqno,
    key: Uint8Array.of(key),
  }));

/** Each copy of an effect that may move, in order of arrival; it is settled once all have arrived, if at all. */
const script = fc.record({
  effects: fc.array(
    fc.record({
      copies: fc.array(position, { minLength: 1, maxLength: 4 }),
      named: fc.boolean(),
      settles: fc.boolean(),
    }),
    { maxLength: 9 },
  ),
  keep: fc.integer({ min: 1, max: 3 }),
  order: fc.infiniteStream(fc.nat()),
});

test("SES-7 the latest effects are right at every step, though copies move them down and what is settled is forgotten", () => {
  fc.assert(
    fc.property(script, ({ effects, keep, order }) => {
      const list = new EffectList("search", "", keep);
      const arrived: { text: string; position: OpPosition }[] = [];
      const left = effects.map(({ copies, named }, index) => ({
        index,
        copies: named ? [...copies] : copies.slice(0, 1),
      }));
      const settling: number[] = [];
      for (const choice of order) {
        const [open, ready] = [left.filter(({ copies }) => copies.length > 0), settling];
        if (open.length + ready.length === 0) break;
        const at = choice % (open.length + ready.length);
        if (at >= open.length) {
          list.settle(ready.splice(at - open.length, 1)[0]!);
        } else {
          const { index, copies } = open[at]!;
          const { named, settles } = effects[index]!;
          const place = copies.shift()!;
          const known = arrived.find(({ text }) => text === `${index}`);
          if (known === undefined) {
            list.add({ position: place, effect: named ? index : -1, settled: !named, text: `${index}` });
            arrived.push({ text: `${index}`, position: place });
          } else {
            list.lower(index, place);
            if (comparePositions(place, known.position) < 0) known.position = place;
          }
          if (named && settles && copies.length === 0) settling.push(index);
        }
        const positions = arrived.toSorted((a, b) => comparePositions(a.position, b.position));
        // Equal positions have no order between different effects here; in a fold their keys differ.
        const ranks = positions
          .map(({ position }) => position)
          .filter((one, index, all) => index > 0 && comparePositions(all[index - 1]!, one) === 0);
        fc.pre(ranks.length === 0);
        expect(list.latest().map(({ text }) => text)).toEqual(positions.slice(-keep).map(({ text }) => text));
      }
    }),
    { numRuns: 600 },
  );
});

test("SES-7 a list of settled effects holds no more than it keeps", () => {
  const list = new EffectList("search", "", 100);
  for (let seqno = 1; seqno <= 1000; seqno++) {
    list.add({
      position: {
        stamp: { wallMs: (seqno * 7) % 1000, counter: 0, clockId: 0 },
        lane: LANES[0]!,
        seqno,
        key: new Uint8Array(1),
      },
      effect: -1,
      settled: true,
      text: "",
    });
  }
  expect(list.effects.length).toBe(100);
});
