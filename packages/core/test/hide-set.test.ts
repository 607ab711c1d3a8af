import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { CoreError, effectKey, type HideKind, HIDE_KIND_CODE, HideSet, hideKindOf } from "../src/index.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const id = (number: number) =>
  effectKey(Uint8Array.from({ length: 16 }, (_, index) => (index === 15 ? number : 0xff)));

type Op =
  | { type: "hide"; kind: HideKind; item: string; dot: string }
  | { type: "unhide"; kind: HideKind; item: string; dots: string[]; id: string };

const kind = fc.constantFrom<HideKind>("hide", "mute", "block");
const item = fc.constantFrom("a", "b", "\u{1f600}", "\uff5e");
const dot = fc.integer({ min: 0, max: 5 }).map(id);
const unhideId = fc.integer({ min: 10, max: 13 }).map(id);
const op: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ type: fc.constant("hide" as const), kind, item, dot }),
  fc.record({
    type: fc.constant("unhide" as const),
    kind,
    item,
    dots: fc.array(dot, { maxLength: 3 }),
    id: unhideId,
  }),
);
const ops = fc.array(op, { maxLength: 14 });

function apply(set: HideSet, all: readonly Op[]): HideSet {
  for (const one of all) {
    if (one.type === "hide") set.hide(one.kind, one.item, one.dot);
    else set.unhide(one.kind, one.item, one.dots, one.id);
  }
  return set;
}

/** Keeps every op for ever and works all out at each question. */
class NaiveHides {
  readonly ops: readonly Op[];
  readonly stable: ReadonlySet<string>;

  constructor(all: readonly Op[], stable: readonly string[] = []) {
    this.ops = all;
    // An id not known here is not settled: nothing is stable everywhere that is not known here.
    this.stable = new Set(
      stable.filter((one) => all.some((known) => known.type === "unhide" && known.id === one)),
    );
  }

  dots(kind: HideKind, item: string): string[] {
    return [
      ...new Set(
        this.ops.flatMap((one) =>
          one.type === "hide" && one.kind === kind && one.item === item ? [one.dot] : [],
        ),
      ),
    ].sort();
  }

  named(kind: HideKind, item: string, dot: string, by: (id: string) => boolean): boolean {
    return this.ops.some(
      (one) =>
        one.type === "unhide" &&
        one.kind === kind &&
        one.item === item &&
        one.dots.includes(dot) &&
        by(one.id),
    );
  }

  live(kind: HideKind, item: string): string[] {
    return this.dots(kind, item).filter((dot) => !this.named(kind, item, dot, (one) => this.stable.has(one)));
  }

  places(item: string): { kind: HideKind; dot: string }[] {
    return (["hide", "mute", "block"] as const).flatMap((kind) =>
      this.live(kind, item).map((dot) => ({ kind, dot })),
    );
  }

  isHidden(item: string): boolean {
    return this.places(item).length > 0;
  }

  isPending(item: string): boolean {
    return (
      this.isHidden(item) &&
      this.places(item).every(({ kind, dot }) => this.named(kind, item, dot, () => true))
    );
  }

  unnamed(): string[] {
    return (["hide", "mute", "block"] as const).flatMap((kind) =>
      ITEMS.flatMap((item) =>
        this.dots(kind, item)
          .filter((dot) => !this.named(kind, item, dot, () => true))
          .map((dot) => `${kind} ${item} ${dot}`),
      ),
    );
  }
}

const ITEMS = ["a", "b", "\uff5e", "\u{1f600}"]; // In the order of their UTF-8 bytes.

function settleAll(set: HideSet, stable: readonly string[]): HideSet {
  set.stabilise((one) => stable.includes(one));
  return set;
}

/** Reads a digest back to compare what it covers. */
function covered(bytes: Uint8Array): string[] {
  const found: string[] = [];
  let at = 2;
  expect(bytes[0]).toBe(1);
  for (let cells = bytes[1]!; cells > 0; cells--) {
    const kind = hideKindOf(bytes[at]!);
    const length = bytes[at + 1]!;
    const item = Buffer.from(bytes.subarray(at + 2, at + 2 + length)).toString("utf8");
    at += 2 + length;
    for (let count = bytes[at++]!; count > 0; count--, at += 16)
      found.push(`${kind} ${item} ${effectKey(bytes, at)}`);
  }
  expect(at).toBe(bytes.length);
  return found;
}

test("CORE-11 HideSet agrees with a naive model that keeps every op, in any order of arrival", () => {
  fc.assert(
    fc.property(ops, fc.array(unhideId, { maxLength: 3 }), fc.nat(14), (all, stable, split) => {
      const naive = new NaiveHides(all, stable);
      const set = settleAll(apply(new HideSet(), all), stable);
      // Another order: the tail, some settled early, the head twice.
      const other = apply(new HideSet(), all.slice(split));
      settleAll(other, stable);
      settleAll(apply(apply(other, all.slice(0, split).reverse()), all), stable);
      expect(hex(other.encode())).toBe(hex(set.encode()));
      for (const each of ITEMS) {
        expect(set.isHidden(each)).toBe(naive.isHidden(each));
        expect(set.pending.has(each)).toBe(naive.isPending(each));
        for (const kind of Object.keys(HIDE_KIND_CODE) as HideKind[]) {
          expect(set.observed(kind, each)).toEqual(naive.live(kind, each));
        }
      }
      expect(set.hidden()).toEqual(ITEMS.filter((each) => naive.isHidden(each)));
      expect([...set.hiddenItems].length).toBe(set.hidden().length);
      expect(covered(set.digestBytes())).toEqual(naive.unnamed());
      expect(hex(HideSet.decode(set.encode()).encode())).toBe(hex(set.encode()));
    }),
    { numRuns: 400 },
  );
});

test("CORE-11 SES-10 a set that forgets what is removed and stable says the same as one that remembers, where no op comes twice", () => {
  fc.assert(
    fc.property(ops, fc.array(fc.nat(20), { maxLength: 14 }), (all, settles) => {
      const [forgets, remembers] = [new HideSet(), new HideSet()];
      const seen = new Set<string>();
      const settled = new Set<string>();
      for (const [at, one] of all.entries()) {
        const name = one.type === "hide" ? `${one.kind} ${one.item} ${one.dot}` : one.id;
        if (seen.has(name)) continue;
        seen.add(name);
        for (const set of [forgets, remembers]) apply(set, [one]);
        const unhide = remembers.pendingUnhides()[settles[at] ?? 20];
        if (unhide !== undefined) {
          settled.add(unhide);
          expect(forgets.settle(unhide, () => true)).toBe(remembers.settle(unhide));
        }
        expect(forgets.hidden()).toEqual(remembers.hidden());
        expect([...forgets.pending].sort()).toEqual([...remembers.pending].sort());
        expect(hex(forgets.digestBytes())).toBe(hex(remembers.digestBytes()));
        expect(hex(HideSet.decode(forgets.encode()).encode())).toBe(hex(forgets.encode()));
      }
      // What it still remembers are dots of hides that have not come, and those that an unhide named again.
      for (const { kind, item, dot } of forgets.settled()) {
        const named = all.filter(
          (one) => one.type === "unhide" && settled.has(one.id) && one.dots.includes(dot),
        );
        expect(!seen.has(`${kind} ${item} ${dot}`) || named.length > 0).toBe(true);
      }
    }),
    { numRuns: 300 },
  );
});

test("CORE-11 SES-10 a hide and its unhide leave nothing once that is stable, nor do two unhides of one hide", () => {
  const set = new HideSet();
  set.hide("hide", "a", id(1));
  set.hide("hide", "a", id(2));
  set.unhide("hide", "a", set.unnamed("hide", "a"), id(10));
  set.unhide("hide", "a", set.observed("hide", "a"), id(11));
  expect(set.unnamed("hide", "a")).toEqual([]);
  set.settle(id(10), (_kind, _item, dot) => dot === id(1));
  expect([...set.settled()].map(({ dot }) => dot)).toEqual([id(2)]);
  set.settle(id(11), () => true);
  expect(set.isEmpty).toBe(false);
  expect(set.forget("hide", "a", id(2))).toBe(true);
  expect(set.forget("hide", "a", id(2))).toBe(false);
  expect(set.isEmpty).toBe(true);
});

test("CORE-11 the digest depends on the set of ops alone, not on what is stable", () => {
  fc.assert(
    fc.property(ops, fc.array(unhideId), (all, stable) => {
      const digest = hex(apply(new HideSet(), all).digestBytes());
      expect(hex(settleAll(apply(new HideSet(), all), stable).digestBytes())).toBe(digest);
    }),
  );
});

test("CORE-11 scenario 35: merge is commutative, associative, idempotent and monotone, bytes compared", () => {
  const state = fc
    .tuple(ops, fc.array(unhideId, { maxLength: 2 }))
    .map(([all, stable]) => settleAll(apply(new HideSet(), all), stable));
  const copy = (set: HideSet) => HideSet.decode(set.encode());
  const joined = (a: HideSet, b: HideSet) => {
    const into = copy(a);
    into.merge(b);
    return into;
  };
  fc.assert(
    fc.property(state, state, state, (a, b, c) => {
      const ab = joined(a, b);
      expect(hex(ab.encode())).toBe(hex(joined(b, a).encode()));
      expect(hex(joined(ab, c).encode())).toBe(hex(joined(a, joined(b, c)).encode()));
      for (const part of [a, b, copy(ab), ab]) expect(ab.merge(part)).toBe(false);
      const ac = copy(a);
      expect(ac.merge(c)).toBe(hex(ac.encode()) !== hex(a.encode()));
      // The maintained sets are what the merged state says, not what the parts said.
      expect([...ab.hiddenItems].sort()).toEqual([...copy(ab).hiddenItems].sort());
      expect([...ab.pending].sort()).toEqual([...copy(ab).pending].sort());
    }),
    { numRuns: 300 },
  );
});

test("CORE-11 returns say whether anything changed: a known id changes nothing", () => {
  const set = new HideSet();
  expect(set.hide("hide", "a", id(1))).toBe(true);
  expect(set.hide("hide", "a", id(1))).toBe(false);
  expect(set.unhide("hide", "a", [id(1)], id(10))).toBe(true);
  expect(set.unhide("hide", "a", [id(1)], id(10))).toBe(false);
  expect([set.settle(id(99)), set.settle(id(10)), set.settle(id(10))]).toEqual([false, true, false]);
  expect(set.unhide("hide", "a", [id(1)], id(10))).toBe(false);
  expect(set.hide("hide", "a", id(1))).toBe(false);
  expect(set.isHidden("a")).toBe(false);
});

test("CORE-11 scenario 23: hide in A, like in B, unhide in C that has not seen the hide: hidden wherever the hide is known", () => {
  const [a, b, c] = [new HideSet(), new HideSet(), new HideSet()];
  a.hide("hide", "x", id(1));
  const seenByC = c.observed("hide", "x");
  c.unhide("hide", "x", seenByC, id(10));
  expect([a.isHidden("x"), b.isHidden("x"), c.isHidden("x")]).toEqual([true, false, false]);
  for (const region of [a, b, c]) {
    region.hide("hide", "x", id(1));
    expect(region.isHidden("x")).toBe(true);
    region.unhide("hide", "x", seenByC, id(10));
    region.stabilise(() => true);
    expect(region.isHidden("x")).toBe(true);
  }
  expect(new Set([a, b, c].map((region) => hex(region.encode()))).size).toBe(1);
});

test("CORE-11 a hide concurrent with an unhide survives it; an unhide may come before the hide it names", () => {
  const set = new HideSet();
  set.unhide("hide", "x", [id(1)], id(10));
  set.hide("hide", "x", id(1));
  expect([set.isHidden("x"), set.pending.size]).toEqual([true, 1]);
  set.hide("hide", "x", id(2));
  expect(set.pending.size).toBe(0);
  set.settle(id(10));
  expect([set.isHidden("x"), set.observed("hide", "x")]).toEqual([true, [id(2)]]);
  set.settle(id(10));
  expect(set.hide("hide", "x", id(1))).toBe(false);
});

test("CORE-11 kinds are lifted only by their own removal", () => {
  const set = new HideSet();
  set.hide("hide", "x", id(1));
  set.hide("mute", "x", id(2));
  set.unhide("mute", "x", [id(1), id(2)], id(10));
  set.settle(id(10));
  expect(set.isHidden("x")).toBe(true);
  set.unhide("hide", "x", set.observed("hide", "x"), id(11));
  expect(set.pending.has("x")).toBe(true);
  expect(set.stabilise((one) => one === id(11))).toBe(1);
  expect([set.isHidden("x"), set.pending.size, set.hiddenItems.size]).toEqual([false, 0, 0]);
});

test("CORE-8 no stamp takes part: HideSet has no argument that could carry one", () => {
  expect([HideSet.prototype.hide.length, HideSet.prototype.unhide.length]).toEqual([3, 4]);
});

test("CORE-11 wrong arguments are the caller's bug", () => {
  const set = new HideSet();
  expect(() => set.hide("hidden" as HideKind, "a", id(1))).toThrow(TypeError);
  expect(() => set.hide("toString" as HideKind, "a", id(1))).toThrow(TypeError);
  expect(() => set.hide("hide", "\ud800", id(1))).toThrow(TypeError);
  for (const wrong of [
    "",
    "0123456789abcde",
    "0123456789abcdef0",
    "0123456789abcde\u0100",
    "0123456789abcde\n\n",
  ]) {
    expect(() => set.hide("hide", "a", wrong)).toThrow(RangeError);
    expect(() => set.unhide("hide", "a", [wrong], id(10))).toThrow(RangeError);
  }
  expect(() => effectKey(new Uint8Array(15))).toThrow(RangeError);
  expect(hex(set.encode())).toBe("01000000");
});

test("CORE-13 scenario 38: any bytes decode to the state they are canonical for, or are refused with an offset", () => {
  const real = fc
    .tuple(ops, fc.array(unhideId, { maxLength: 2 }))
    .map(([all, stable]) => settleAll(apply(new HideSet(), all), stable).encode());
  const hostile = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.tuple(real, fc.nat(), fc.nat(255)).map(([bytes, at, value]) => bytes.with(at % bytes.length, value)),
    fc.tuple(real, fc.nat()).map(([bytes, cut]) => bytes.slice(0, cut % bytes.length)),
    real.map((bytes) => Uint8Array.of(...bytes, 0)),
  );
  fc.assert(
    fc.property(hostile, (bytes) => {
      try {
        expect(hex(HideSet.decode(bytes).encode())).toBe(hex(bytes));
      } catch (error) {
        if (!(error instanceof CoreError)) throw error;
        expect(error.code).toBe("DECODE_FAILED");
        expect(error.offset).toBeLessThanOrEqual(bytes.length);
      }
    }),
    { numRuns: 1_000 },
  );
});

test("CORE-11 golden bytes, version 1", () => {
  const golden = readFileSync(new URL("golden/hide-set-v1.hex", import.meta.url), "utf8").trim();
  const set = new HideSet();
  set.hide("mute", "é", id(3));
  set.hide("hide", "x", id(2));
  set.hide("hide", "x", id(1));
  set.unhide("hide", "x", [id(1)], id(10));
  set.unhide("hide", "x", [id(2)], id(11));
  set.settle(id(10));
  expect(hex(set.encode())).toBe(golden);
  expect(HideSet.decode(Buffer.from(golden, "hex")).hidden()).toEqual(["x", "é"]);
});
