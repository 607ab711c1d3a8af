import fc from "fast-check";
import { expect, test } from "vitest";
import { EffectTable } from "../src/index.ts";

function idOf(tag: number, digest: number): Uint8Array {
  const id = new Uint8Array(16);
  const view = new DataView(id.buffer);
  view.setUint32(0, tag % 4, true);
  view.setUint32(4, tag, true);
  view.setUint32(8, digest, true);
  return id;
}

const added = fc.record({
  tag: fc.nat(40),
  digest: fc.nat(2),
  wallMs: fc.oneof(fc.nat(3), fc.constant(2 ** 48 - 1)),
  counter: fc.oneof(fc.nat(2), fc.constant(0xffff)),
  clockId: fc.oneof(fc.nat(2), fc.constant(0xffff)),
  lane: fc.nat(3),
  seqno: fc.oneof(fc.nat(4), fc.constant(Number.MAX_SAFE_INTEGER)),
});

test("SES-5 the table keeps each effect once, at the smallest position, and tells a conflict", () => {
  fc.assert(
    fc.property(fc.array(added, { maxLength: 150 }), (steps) => {
      const table = new EffectTable((a, b) => b - a);
      const naive = new Map<string, { index: number; rank: number[] }>();
      for (const { tag, digest, lane, seqno, ...stamp } of steps) {
        const rank = [stamp.wallMs, stamp.counter, stamp.clockId, -lane, seqno];
        const known = naive.get(`${tag} ${digest}`);
        const result = table.add(idOf(tag, digest), 0, { stamp, lane, seqno });
        expect(result.isNew).toBe(known === undefined);
        if (known === undefined) {
          expect(result.conflict).toBe(
            [0, 1, 2].some((other) => other !== digest && naive.has(`${tag} ${other}`)),
          );
          naive.set(`${tag} ${digest}`, { index: result.index, rank });
        } else {
          expect(result.index).toBe(known.index);
          expect(result.lowered).toBe(below(rank, known.rank));
          if (result.lowered) known.rank = rank;
        }
      }
      expect(table.size).toBe(naive.size);
      for (const [name, { index, rank }] of naive) {
        const [tag, digest] = name.split(" ").map(Number) as [number, number];
        const id = idOf(tag, digest);
        expect(table.find(id.subarray(0, 8), id.subarray(8))).toBe(index);
        expect(table.idOf(index)).toEqual(id);
        const { stamp, lane, seqno } = table.positionOf(index);
        expect([stamp.wallMs, stamp.counter, stamp.clockId, -lane, seqno]).toEqual(rank);
        expect(table.find(id.subarray(0, 8), idOf(tag, 9).subarray(8))).toBe("conflict");
      }
      expect(table.find(idOf(99, 0).subarray(0, 8), idOf(99, 0).subarray(8))).toBeUndefined();
    }),
    { numRuns: 200 },
  );
});

test("SES-16 the effects of one owner are forgotten together: others stay, and their places are used again", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ tag: fc.nat(60), owner: fc.nat(3), forget: fc.nat(15) }), { maxLength: 200 }),
      (steps) => {
        const table = new EffectTable(() => 0);
        const heads = [-1, -1, -1, -1];
        const naive = new Map<number, { owner: number; index: number }>();
        let most = 0;
        for (const [at, { tag, owner, forget }] of steps.entries()) {
          const result = table.add(idOf(tag, 0), 0, {
            stamp: { wallMs: at, counter: 0, clockId: 0 },
            lane: 0,
            seqno: at,
          });
          expect(result.isNew).toBe(!naive.has(tag));
          if (result.isNew) {
            heads[owner] = table.link(result.index, heads[owner]!);
            naive.set(tag, { owner, index: result.index });
          }
          most = Math.max(most, naive.size);
          if (forget < heads.length) {
            const gone = [...naive].filter(([, one]) => one.owner === forget);
            expect([...table.chain(heads[forget]!)].sort()).toEqual(
              gone.map(([, { index }]) => index).sort(),
            );
            table.forget(heads[forget]!);
            heads[forget] = -1;
            for (const [name] of gone) naive.delete(name);
          }
          expect(table.size).toBe(naive.size);
          for (const [name, { index }] of naive) {
            const id = idOf(name, 0);
            expect(table.find(id.subarray(0, 8), id.subarray(8))).toBe(index);
            expect(table.idOf(index)).toEqual(id);
          }
        }
        expect(table.end).toBe(most);
      },
    ),
    { numRuns: 100 },
  );
});

test("SES-4 100,000 effects take at most 80 bytes each, all off the heap", () => {
  const table = new EffectTable(() => 0);
  const id = new Uint8Array(16);
  const view = new DataView(id.buffer);
  for (let tag = 0; tag < 100_000; tag++) {
    // Real tags are hashes: their first words spread.
    view.setUint32(0, Math.imul(tag, 0x9e37_79b1) >>> 0, true);
    view.setUint32(4, tag, true);
    table.add(id, 0, { stamp: { wallMs: tag, counter: 0, clockId: 1 }, lane: 0, seqno: tag });
  }
  expect(table.byteLength / table.size).toBeLessThanOrEqual(80);
});

function below(a: readonly number[], b: readonly number[]): boolean {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at >= 0 && a[at]! < b[at]!;
}
