import { expect, test } from "vitest";
import { decodeKey, encodeKey, openMemoryKv, prefixRange, scanPages } from "../src/index.ts";

test.each([false, true])("scanPages() gives every item of a range once, reverse: %s", async (reverse) => {
  const kv = openMemoryKv();
  const puts = Array.from({ length: 10 }, (_, at) => ({
    key: encodeKey(["a", at]),
    value: Uint8Array.of(at),
  }));
  await kv.commit("p", { puts: [...puts, { key: encodeKey(["b"]), value: new Uint8Array(0) }] });
  const pages: unknown[][] = [];
  for await (const items of scanPages(kv, "p", { ...prefixRange(["a"]), reverse, limit: 4 })) {
    pages.push(items.map(({ key }) => decodeKey(key)[1]));
    // What was given may go.
    await kv.commit("p", { deletes: items.map(({ key }) => key) });
  }
  const all = Array.from({ length: 10 }, (_, at) => at);
  expect(pages.flat()).toEqual(reverse ? all.toReversed() : all);
  expect(pages.slice(0, 2).map((page) => page.length)).toEqual([4, 4]);
});
