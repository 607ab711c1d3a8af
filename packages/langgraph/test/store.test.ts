import {
  InMemoryStore,
  InvalidNamespaceError,
  type Item,
  type Operation,
} from "@langchain/langgraph-checkpoint";
import { openMemoryKv } from "@tidemark/kv";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { TidemarkStore } from "../src/index.ts";
import { WatchedKv } from "./saver-bench.ts";

const label = fc.constantFrom("users", "ada", "v1", "users-2");
const namespace = fc.array(label, { minLength: 1, maxLength: 3 });
const key = fc.constantFrom("a", "b", "", "__proto__", "a.b");
const scalar = fc.constantFrom<unknown>(1, 2, 10, "1", "x", true, null);
const value = fc.dictionary(fc.constantFrom("rank", "kind"), scalar, { maxKeys: 2 });
const operator = fc.constantFrom("$eq", "$ne", "$gt", "$gte", "$lt", "$lte");
const filter = fc.dictionary(
  fc.constantFrom("rank", "kind"),
  fc.oneof(
    scalar,
    fc.dictionary(operator, scalar, { maxKeys: 2 }),
    fc.array(scalar).map((all) => ({ $in: all })),
    fc.array(scalar).map((all) => ({ $nin: all })),
  ),
  { maxKeys: 2 },
);
const path = fc.array(fc.oneof(label, fc.constant("*" as const)), { minLength: 1, maxLength: 2 });
const condition = fc.record({ matchType: fc.constantFrom("prefix" as const, "suffix" as const), path });
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ namespace, key, value: fc.option(value, { freq: 4 }) }) },
  { weight: 1, arbitrary: fc.record({ namespace, key }) },
  {
    weight: 2,
    arbitrary: fc.record({
      namespacePrefix: fc.array(label, { maxLength: 2 }),
      filter,
      limit: fc.constantFrom(1, 3, 100),
      offset: fc.constantFrom(0, 1),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      matchConditions: fc.array(condition, { maxLength: 2 }),
      maxDepth: fc.constantFrom(undefined, 1, 2) as fc.Arbitrary<number>,
      limit: fc.constant(100),
      offset: fc.constant(0),
    }),
  },
);

/** Every item of the store, whatever its order. */
async function everything(store: InMemoryStore | TidemarkStore): Promise<unknown[]> {
  const items = await store.search([], { limit: 1_000 });
  return items.map(content).toSorted(byText);
}

function content({ namespace, key, value }: Item): unknown {
  return { namespace, key, value };
}

function byText(a: unknown, b: unknown): number {
  return JSON.stringify(a) < JSON.stringify(b) ? -1 : 1;
}

test("RUN-13 whatever is put and asked, TidemarkStore says what InMemoryStore says", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(operation, { maxLength: 4 }), { maxLength: 10 }), async (batches) => {
      const memory = new InMemoryStore();
      const store = new TidemarkStore({ kv: openMemoryKv() });
      for (const batch of batches) {
        const before = await everything(memory);
        const filled = new Set(
          (await memory.search([], { limit: 1_000 })).map((item) => JSON.stringify(item.namespace)),
        );
        const [ours, theirs] = [await store.batch([...batch]), await memory.batch([...batch])];
        for (const [index, asked] of batch.entries()) {
          const [own, other] = [ours[index], theirs[index]] as unknown[];
          if ("namespacePrefix" in asked) {
            // Which items a page has depends on the order, which is not the same; how many does not.
            const [page, expected] = [own as Item[], other as Item[]];
            expect(page.length).toBe(expected.length);
            if (asked.limit === 100 && asked.offset === 0) {
              expect(page.map(content).toSorted(byText)).toEqual(expected.map(content).toSorted(byText));
            }
            for (const item of page) expect(before).toContainEqual(content(item));
          } else if ("matchConditions" in asked) {
            // InMemoryStore lists namespaces of which every item was deleted; here they are gone.
            const depth = asked.maxDepth;
            const kept = new Set(
              [...filled].map((text) => JSON.stringify((JSON.parse(text) as []).slice(0, depth))),
            );
            const filtered = (other as string[][]).filter((one) => kept.has(JSON.stringify(one)));
            for (const one of own as string[][]) expect(filtered).toContainEqual(one);
            if (depth === undefined) expect(own).toHaveLength(filtered.length);
          } else if (!("value" in asked)) {
            expect(own === null ? null : content(own as Item)).toEqual(
              other === null ? null : content(other as Item),
            );
          }
        }
        expect(await everything(store)).toEqual(await everything(memory));
      }
    }),
    { numRuns: 80 },
  );
});

test("TidemarkStore gives items in the order of namespaces and keys, a page after the other", async () => {
  const store = new TidemarkStore({ kv: openMemoryKv() });
  for (const [of, key] of [
    ["b", "2"],
    ["a", "2"],
    ["b", "1"],
    ["a", "1"],
  ])
    await store.put([of!], key!, { of });
  const pages = await Promise.all([0, 2, 4].map((offset) => store.search([], { limit: 2, offset })));
  expect(pages.map((page) => page.map(({ namespace, key }) => `${namespace[0]}${key}`))).toEqual([
    ["a1", "a2"],
    ["b1", "b2"],
    [],
  ]);
});

test("TidemarkStore keeps when an item was made, and says when it was changed", async () => {
  let now = 1_000;
  const store = new TidemarkStore({ kv: openMemoryKv({ nowMs: () => now }) });
  await store.put(["a"], "k", { n: 1 });
  now = 2_000;
  await store.put(["a"], "k", { n: 2 });
  expect(await store.get(["a"], "k")).toEqual({
    namespace: ["a"],
    key: "k",
    value: { n: 2 },
    createdAt: new Date(1_000),
    updatedAt: new Date(2_000),
  });
});

test("TidemarkStore does not list a namespace whose last item was deleted", async () => {
  const store = new TidemarkStore({ kv: openMemoryKv() });
  await store.put(["a", "b"], "k", {});
  await store.put(["a"], "k", {});
  await store.delete(["a", "b"], "k");
  expect(await store.listNamespaces()).toEqual([["a"]]);
  await store.put(["a", "b"], "k", {});
  expect(await store.listNamespaces({ maxDepth: 1 })).toEqual([["a"]]);
  expect(await store.listNamespaces({ suffix: ["b"] })).toEqual([["a", "b"]]);
});

test("TidemarkStore names a namespace before its first item, so that none is ever lost", async () => {
  const kv = new WatchedKv(openMemoryKv());
  const store = new TidemarkStore({ kv });
  kv.beforeCommit = () => {
    if (kv.commits.length === 1) throw new Error("cut off");
  };
  await expect(store.put(["a"], "k", {})).rejects.toThrow("cut off");
  expect(await store.listNamespaces()).toEqual([]);
  kv.beforeCommit = () => undefined;
  await store.put(["a"], "k", {});
  await store.put(["a"], "l", {});
  expect(kv.commits.map(({ partition }) => partition.split("/")[0])).toEqual([
    "langgraph.namespaces",
    "langgraph.namespaces",
    "langgraph.items",
    "langgraph.items",
  ]);
});

test("TidemarkStore puts what one batch gives a namespace in one commit, even when raced", async () => {
  const kv = new WatchedKv(openMemoryKv());
  const store = new TidemarkStore({ kv });
  await store.put(["a"], "k", { by: "nobody" });
  kv.commits.length = 0;
  let raced = false;
  kv.beforeCommit = async () => {
    if (raced) return;
    raced = true;
    await store.put(["a"], "k", { by: "other" });
  };
  await store.batch([
    { namespace: ["a"], key: "k", value: { by: "us" } },
    { namespace: ["a"], key: "l", value: { by: "us" } },
    { namespace: ["a"], key: "m", value: null },
  ]);
  expect(kv.commits.map(({ commit }) => commit.puts?.length)).toEqual([1, 2, 2]);
  expect((await store.get(["a"], "k"))?.value).toEqual({ by: "us" });
});

test("TidemarkStore refuses namespaces that are none", async () => {
  const store = new TidemarkStore({ kv: openMemoryKv() });
  for (const wrong of [[], [""], ["a.b"], ["a:b"], ["a\0"], ["langgraph"]]) {
    await expect(store.put(wrong, "k", {})).rejects.toThrow(InvalidNamespaceError);
  }
  await expect(store.batch([{ namespace: ["a.b"], key: "k", value: {} }])).rejects.toThrow(
    InvalidNamespaceError,
  );
  await expect(store.search(["a.b"])).rejects.toThrow(InvalidNamespaceError);
});
