import { type Kv, type KvItem, type KvRange, keyText } from "@tidemark/kv";
import { expectThat, numberBytes, show } from "./assertions.ts";
import type { KvCheckContext } from "./check.ts";

/** Keys whose order as bytes is not that of their text, their length or their sign. */
const KEYS: readonly Uint8Array[] = [
  [0],
  [0, 0],
  [0, 1],
  [1],
  [0x61],
  [0x61, 0],
  [0x61, 0x62],
  [0x61, 0xff],
  [0x61, 0xff, 0xff],
  [0x62],
  [0x7f],
  [0x80],
  [0xc3, 0xa9],
  [0xff],
  [0xff, 0],
  [0xff, 0xff],
].map((key) => Uint8Array.from(key));

/** Ranges and the keys they must give, by index into {@link KEYS}, from and up to. */
const RANGES: readonly { readonly range: KvRange; readonly from: number; readonly to: number }[] = [
  { range: {}, from: 0, to: 16 },
  { range: { prefix: new Uint8Array(0) }, from: 0, to: 16 },
  { range: { prefix: Uint8Array.of(0) }, from: 0, to: 3 },
  { range: { prefix: Uint8Array.of(0x61) }, from: 4, to: 9 },
  { range: { prefix: Uint8Array.of(0x61, 0xff) }, from: 7, to: 9 },
  { range: { prefix: Uint8Array.of(0xff) }, from: 13, to: 16 },
  { range: { prefix: Uint8Array.of(0xff, 0xff) }, from: 15, to: 16 },
  { range: { prefix: Uint8Array.of(0x63) }, from: 0, to: 0 },
  { range: { start: Uint8Array.of(0x61) }, from: 4, to: 16 },
  { range: { start: Uint8Array.of(0x60) }, from: 4, to: 16 },
  { range: { end: Uint8Array.of(0x61) }, from: 0, to: 4 },
  { range: { end: Uint8Array.of(0x61, 0) }, from: 0, to: 5 },
  { range: { start: Uint8Array.of(0x61, 0), end: Uint8Array.of(0x80) }, from: 5, to: 11 },
  { range: { start: Uint8Array.of(0x61), end: Uint8Array.of(0x61) }, from: 0, to: 0 },
  { range: { start: Uint8Array.of(0x80), end: Uint8Array.of(0x61) }, from: 0, to: 0 },
  { range: { prefix: Uint8Array.of(0x61), start: Uint8Array.of(0x61, 0x62) }, from: 6, to: 9 },
  { range: { prefix: Uint8Array.of(0x61), end: Uint8Array.of(0x61, 0x62) }, from: 4, to: 6 },
  {
    range: { prefix: Uint8Array.of(0x61), start: Uint8Array.of(0), end: Uint8Array.of(0xff) },
    from: 4,
    to: 9,
  },
  { range: { prefix: Uint8Array.of(0x61), start: Uint8Array.of(0x62) }, from: 0, to: 0 },
];

const keysOf = (items: readonly KvItem[]): string => items.map(({ key }) => show(key)).join(" ");

/** Puts the keys, each with its place as value, in an order of its own. */
async function putKeys({ kv }: KvCheckContext): Promise<void> {
  for (let step = 0; step < KEYS.length; step++) {
    const index = (step * 7) % KEYS.length;
    await kv.commit("p", { puts: [{ key: KEYS[index]!, value: numberBytes(index) }] });
  }
}

/** Every bound means what it says, alone and with others. */
export async function holdsToItsBounds(context: KvCheckContext): Promise<void> {
  await putKeys(context);
  for (const { range, from, to } of RANGES) {
    const { items, next } = await context.kv.scan("p", range);
    const wanted = KEYS.slice(from, to).map((key, index) => ({ key, value: numberBytes(from + index) }));
    const what = `scan() of ${JSON.stringify(range, (_, bound) => (bound instanceof Uint8Array ? show(bound) : bound))}`;
    expectThat(
      keysOf(items) === keysOf(wanted),
      `${what}: expected ${keysOf(wanted)} and got ${keysOf(items)}`,
    );
    expectThat(
      items.every(({ value }, index) => show(value) === show(wanted[index]!.value)),
      `${what}: a key has the value of another`,
    );
    expectThat(next === undefined, `${what}: there is a next page of a range that has ended`);
  }
}

/** In reverse, the same keys the other way round. */
export async function scansInReverse(context: KvCheckContext): Promise<void> {
  await putKeys(context);
  for (const { range, from, to } of RANGES) {
    const { items } = await context.kv.scan("p", { ...range, reverse: true });
    const wanted = KEYS.slice(from, to)
      .toReversed()
      .map((key) => show(key))
      .join(" ");
    expectThat(keysOf(items) === wanted, `scan() in reverse: expected ${wanted} and got ${keysOf(items)}`);
  }
}

/** Pages of any limit, one after another, give each key once, in order; the last says that it is. */
export async function goesOnPageByPage(context: KvCheckContext): Promise<void> {
  await putKeys(context);
  for (const { range, from, to } of RANGES) {
    for (const reverse of [false, true]) {
      for (const limit of [1, 2, 3, 16]) {
        const wanted = KEYS.slice(from, to);
        if (reverse) wanted.reverse();
        const got = await allPages(context.kv, { ...range, reverse, limit });
        expectThat(
          keysOf(got) === wanted.map((key) => show(key)).join(" "),
          `pages of ${limit}${reverse ? " in reverse" : ""}: expected ${wanted.map((key) => show(key)).join(" ")} and got ${keysOf(got)}`,
        );
      }
    }
  }
}

/** All items of a range, by pages, each of which keeps to the limit. */
export async function allPages(kv: Kv, range: KvRange, partition: string = "p"): Promise<KvItem[]> {
  const items: KvItem[] = [];
  for (let rest = range; ;) {
    const page = await kv.scan(partition, rest);
    expectThat(
      page.items.length <= (range.limit ?? 1_000),
      `a page of at most ${range.limit ?? 1_000} has ${page.items.length} items`,
    );
    expectThat(goesOn(items, page.items, range), "a page does not begin after the end of the one before it");
    items.push(...page.items);
    if (page.next === undefined) return items;
    expectThat(page.items.length > 0, "a page that is not the last is empty: it may never end");
    rest = { ...rest, [range.reverse === true ? "end" : "start"]: page.next };
  }
}

/** Whether keys go on in order from one page to the next: if not, the pages may never end. */
function goesOn(before: readonly KvItem[], page: readonly KvItem[], { reverse = false }: KvRange): boolean {
  const [last, first] = [before.at(-1), page[0]];
  if (last === undefined || first === undefined) return true;
  const [from, to] = [keyText(last.key), keyText(first.key)];
  return reverse ? to < from : to > from;
}

/** Without a limit, a page has 1,000 items; the limit may be 10,000. */
export async function limitsAPage(context: KvCheckContext): Promise<void> {
  const { kv, claims } = context;
  const several = Math.min(claims.keysPerCommitMax, 101);
  for (let first = 0; first < 1_010; first += several) {
    const count = Math.min(several, 1_010 - first);
    const puts = Array.from({ length: count }, (_, index) => ({
      key: numberBytes(first + index),
      value: new Uint8Array(0),
    }));
    await kv.commit("p", { puts });
  }
  const page = await kv.scan("p", {});
  expectThat(page.items.length === 1_000, `a page without a limit has ${page.items.length} items`);
  expectThat(page.next !== undefined, "a page that is not the last has no next");
  const whole = await allPages(context.kv, { limit: 10_000 });
  expectThat(whole.length === 1_010, `pages of 10,000 gave ${whole.length} items: there are 1,010`);
  const reversed = await kv.scan("p", { reverse: true });
  expectThat(show(reversed.items[0]?.key) === show(numberBytes(1_009)), "reverse did not begin at the end");
}

/** A range of much data ends its pages early rather than give it all at once, and goes on. */
export async function goesOnThroughLargeValues(context: KvCheckContext): Promise<void> {
  const { kv, claims } = context;
  const length = Math.min(1_024 * 1_024, claims.valueBytesMax, claims.commitBytesMax - 100);
  for (let number = 0; number < 12; number++) {
    await kv.commit("p", {
      puts: [{ key: numberBytes(number), value: new Uint8Array(length).fill(number) }],
    });
  }
  for (const reverse of [false, true]) {
    const items = await allPages(context.kv, { reverse });
    const wanted = Array.from({ length: 12 }, (_, index) => (reverse ? 11 - index : index));
    expectThat(
      items.length === 12 &&
        items.every(({ value }, index) => value.length === length && value[0] === wanted[index]),
      "values of 12 MiB in all did not come back whole and in order",
    );
  }
}
