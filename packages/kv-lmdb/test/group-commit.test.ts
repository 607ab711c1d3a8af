import { mkdirSync } from "node:fs";
import type { KvCommit, KvCommitResult } from "@tidemark/kv";
import { expect, test } from "vitest";
import { Environment } from "../src/environment.ts";
import { Gate } from "../src/gate.ts";
import { GROUP_COMMITS_MAX, PENDING_BYTES_MAX } from "../src/index.ts";
import { gatePath } from "../src/node/boot.ts";
import { VERSION_ROW } from "../src/store-version.ts";
import { bytes, contentOf, newDirectory, openFor } from "./support.ts";

const put = (key: string, value: string): KvCommit => ({ puts: [{ key: bytes(key), value: bytes(value) }] });
const ifHolds = (key: string, value: string | undefined, next: KvCommit): KvCommit => ({
  checks: [{ key: bytes(key), value: value === undefined ? undefined : bytes(value) }],
  ...next,
});

async function openEnvironment(dir: string): Promise<Environment> {
  mkdirSync(dir, { recursive: true });
  return new Environment(dir, 1_048_576, await Gate.open(gatePath(dir)), VERSION_ROW);
}

/** How many transactions there were while `work` ran. */
async function transactionsOf(dir: string, work: () => Promise<unknown>): Promise<number> {
  const environment = await openEnvironment(dir);
  const before = environment.lastTransaction();
  await work();
  const after = environment.lastTransaction();
  await environment.close();
  return after - before;
}

test("commits made at once are one transaction, one alone is one, and a read or failed check is none", async () => {
  const dir = newDirectory();
  const kv = await openFor(dir);
  const together = (): Promise<unknown> =>
    Promise.all(Array.from({ length: 64 }, (_, index) => kv.commit(`p${index}`, put("k", "v"))));
  expect(await transactionsOf(dir, together)).toBe(1);
  expect(await transactionsOf(dir, () => kv.commit("p", put("k", "v")))).toBe(1);
  expect(await transactionsOf(dir, () => kv.commit("p", ifHolds("k", "other", put("k", "w"))))).toBe(0);
  expect(
    await transactionsOf(dir, () => kv.commit("p", { checks: [{ key: bytes("k"), value: bytes("v") }] })),
  ).toBe(0);
  expect(await transactionsOf(dir, () => kv.get("p", [bytes("k")]))).toBe(0);
});

test("each commit of a group has its own result, and sees those before it", async () => {
  const kv = await openFor(newDirectory());
  const results: KvCommitResult[] = await Promise.all([
    kv.commit("p", ifHolds("k", undefined, put("k", "1"))),
    kv.commit("p", ifHolds("k", undefined, put("k", "2"))),
    kv.commit("p", ifHolds("k", "1", put("k", "3"))),
    kv.commit("q", ifHolds("k", "1", put("k", "4"))),
    kv.commit("p", {
      checks: [
        { key: bytes("k"), value: bytes("3") },
        { key: bytes("l"), value: bytes("") },
      ],
      ...put("m", "5"),
    }),
    kv.commit("p", { deletes: [bytes("none")], ...put("l", "") }),
  ]);
  expect(results).toEqual([
    { committed: true },
    { committed: false, failed: 0 },
    { committed: true },
    { committed: false, failed: 0 },
    { committed: false, failed: 1 },
    { committed: true },
  ]);
  expect(await contentOf(kv, "p")).toEqual([
    ["k", "3"],
    ["l", ""],
  ]);
  expect(await contentOf(kv, "q")).toEqual([]);
});

test("a group is bounded by count and by bytes", async () => {
  const dir = newDirectory();
  const kv = await openFor(dir);
  const many = (count: number, valueBytes: number) => (): Promise<unknown> =>
    Promise.all(
      Array.from({ length: count }, (_, index) =>
        kv.commit("p", { puts: [{ key: bytes(String(index)), value: new Uint8Array(valueBytes) }] }),
      ),
    );
  expect(await transactionsOf(dir, many(GROUP_COMMITS_MAX + 1, 1))).toBe(2);
  expect(await transactionsOf(dir, many(10, 1_048_576))).toBe(4);
});

test("more than may wait is refused with KV_BUSY, and nothing of it is written", async () => {
  const kv = await openFor(newDirectory());
  const value = new Uint8Array(8 * 1_024 * 1_024);
  const count = PENDING_BYTES_MAX / value.length;
  const all = await Promise.allSettled(
    Array.from({ length: count }, (_, index) =>
      kv.commit(String(index), { puts: [{ key: bytes("k"), value }] }),
    ),
  );
  expect(all.slice(0, -1).every(({ status }) => status === "fulfilled")).toBe(true);
  expect(all.at(-1)).toMatchObject({ status: "rejected", reason: { code: "KV_BUSY", retryable: true } });
  expect(await contentOf(kv, String(count - 1))).toEqual([]);
});

test("a commit that is aborted before its transaction writes nothing and hinders nobody", async () => {
  const kv = await openFor(newDirectory());
  const controller = new AbortController();
  const aborted = kv.commit("p", put("a", "1"), { signal: controller.signal });
  const kept = kv.commit("p", put("b", "2"), { signal: new AbortController().signal });
  controller.abort(new Error("enough"));
  await expect(aborted).rejects.toThrow("enough");
  expect(await kept).toEqual({ committed: true });
  expect(await contentOf(kv, "p")).toEqual([["b", "2"]]);
  controller.abort();
  await expect(kv.commit("p", put("c", "3"), { signal: controller.signal })).rejects.toThrow("enough");
});

test("close() settles what waits", async () => {
  const dir = newDirectory();
  const kv = await openFor(dir);
  const pending = [kv.commit("p", put("a", "1")), kv.commit("p", put("b", "2"))];
  await kv.close();
  expect(await Promise.all(pending)).toEqual([{ committed: true }, { committed: true }]);
  await expect(kv.commit("p", put("c", "3"))).rejects.toMatchObject({ code: "KV_CLOSED" });
  expect(await contentOf(await openFor(dir), "p")).toEqual([
    ["a", "1"],
    ["b", "2"],
  ]);
});

test("one who does nothing but commit leaves the event loop its turns", async () => {
  const kv = await openFor(newDirectory());
  let turns = 0;
  const turn = setInterval(() => (turns += 1), 1);
  const startMs = performance.now();
  while (turns < 3) {
    await kv.commit("p", put("a", String(turns)));
    expect(performance.now() - startMs).toBeLessThan(30_000);
  }
  clearInterval(turn);
});

test("a transaction that returns a promise is refused and written nowhere", async () => {
  const environment = await openEnvironment(newDirectory());
  const work = (() => {
    environment.put(bytes("k"), bytes("v"));
    return Promise.resolve();
  }) as () => void;
  expect(() => environment.write("try", work)).toThrow("must not return anything");
  expect(environment.read("look", () => environment.get(bytes("k")))).toBeUndefined();
  environment.write("try", () => environment.put(bytes("k"), bytes("w")));
  expect(environment.read("look", () => environment.get(bytes("k")))).toEqual(bytes("w"));
  await environment.close();
});
