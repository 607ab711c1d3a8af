import type { Kv, KvItem, KvRange, Partition } from "./kv.ts";

/**
 * The items of a range, a page after another. A page is one consistent view, and what is deleted of a page that was
 * given does not disturb the walk; in reverse it goes from the end. `limit` is that of a page.
 */
export async function* scanPages(
  kv: Pick<Kv, "scan">,
  partition: Partition,
  range: KvRange,
): AsyncGenerator<readonly KvItem[], void, void> {
  let rest: KvRange | undefined = range;
  while (rest !== undefined) {
    const { items, next } = await kv.scan(partition, rest);
    yield items;
    if (next === undefined) return;
    rest = { ...rest, ...(rest.reverse === true ? { end: next } : { start: next }) };
  }
}
