import type { AgentInputItem, SessionHistoryTransaction } from "@openai/agents-core";
import { type Hasher, nobleHasher } from "@tidemark/core";
import { type Kv, KvError, openMemoryKv } from "@tidemark/kv";
import { interruptingKv, replacedKv } from "@tidemark/kv-conformance";
import { expect, test } from "vitest";
import { OpenAiAgentsError, TidemarkSessions } from "../src/index.ts";
import { user } from "./session-contract.ts";

const open = (kv: Kv) => new TidemarkSessions({ kv }).session("trip");
const texts = (items: readonly AgentInputItem[]) =>
  items.map((item) => (item as { content: string }).content);

const TRANSACTIONS: readonly [id: string, transaction: SessionHistoryTransaction][] = [
  ["1", { type: "append_items", items: [user("one"), user("two")] }],
  [
    "2",
    { type: "replace_suffix", expectedSuffix: [user("two")], replacement: [user("three"), user("four")] },
  ],
  [
    "3",
    {
      type: "replace_suffix",
      expectedSuffix: [user("one"), user("three"), user("four")],
      replacement: [user("five")],
    },
  ],
  ["4", { type: "append_items", items: [user("six")] }],
];

test.each(["before", "after"] as const)(
  "RUN-13 a transaction that is cut off at any call (%s it took effect) and tried again counts once",
  async (when) => {
    for (let at = 1; ; at++) {
      const plain = openMemoryKv();
      const kv = interruptingKv(plain, { at, when });
      for (const [operationId, transaction] of TRANSACTIONS) {
        // Each try is another process: nothing is remembered but what is stored.
        await retried(() => open(kv).applyHistoryTransaction({ operationId, transaction }));
        const between = texts(await open(plain).getItems());
        await open(plain).applyHistoryTransaction({ operationId, transaction });
        expect(texts(await open(plain).getItems())).toEqual(between);
      }
      expect(texts(await open(plain).getItems())).toEqual(["five", "six"]);
      if (!kv.interrupted) return;
    }
  },
);

test.each(["before", "after"] as const)(
  "RUN-13 what else is cut off at any call (%s it took effect) is there whole or not at all",
  async (when) => {
    const changes: Record<string, (session: ReturnType<typeof open>) => Promise<unknown>> = {
      addItems: (session) => session.addItems([user("three"), user("four")]),
      popItem: (session) => session.popItem(),
      clearSession: (session) => session.clearSession(),
      replaceHistoryWithCompaction: (session) => session.replaceHistoryWithCompaction([user("short")]),
    };
    const whole: Record<string, string[]> = {
      addItems: ["one", "two", "three", "four"],
      popItem: ["one"],
      clearSession: [],
      replaceHistoryWithCompaction: ["short"],
    };
    for (const [name, change] of Object.entries(changes)) {
      for (let at = 1; ; at++) {
        const plain = openMemoryKv();
        await open(plain).addItems([user("one")]);
        await open(plain).addItems([user("two")]);
        const kv = interruptingKv(plain, { at, when });
        const failure = await change(open(kv)).then(
          () => undefined,
          (error: unknown) => error,
        );
        const found = texts(await open(plain).getItems());
        if (failure === undefined) expect(found, `${name} ${at}`).toEqual(whole[name]);
        else expect([["one", "two"], whole[name]], `${name} ${at}`).toContainEqual(found);
        if (!kv.interrupted) break;
      }
    }
  },
);

test("an answer that is lost is found out: addItems() that took effect does not fail", async () => {
  let failed = 0;
  for (let at = 1; ; at++) {
    const plain = openMemoryKv();
    const kv = interruptingKv(plain, { at, when: "after" });
    await retried(
      () => open(kv).addItems([user("one")]),
      () => (failed += 1),
    );
    expect(texts(await open(plain).getItems())).toEqual(["one"]);
    if (!kv.interrupted) break;
  }
  expect(failed, "only the read may fail").toBe(1);
});

test("what a clear or compaction could not remove at once does not count, and goes with the next", async () => {
  const plain = openMemoryKv({ keysPerCommitMax: 8 });
  const rows = async () => (await plain.scan("openai-agents/trip", {})).items.length;
  for (let index = 0; index < 20; index++) {
    await open(plain).applyHistoryTransaction({
      operationId: `${index}`,
      transaction: { type: "append_items", items: [user(`${index}`)] },
    });
  }
  // The commit that counts, and one of the removal.
  let commits = 0;
  const cut = replacedKv(plain, {
    commit: (...given) => {
      commits += 1;
      return commits > 2
        ? Promise.reject(new KvError("KV_UNAVAILABLE", "Cut", { committed: "no" }))
        : plain.commit(...given);
    },
  });
  await expect(open(cut).clearSession()).rejects.toMatchObject({ code: "KV_UNAVAILABLE" });
  expect(await open(plain).getItems()).toEqual([]);
  expect(await rows()).toBeGreaterThan(20);
  await open(plain).applyHistoryTransaction({
    operationId: "3",
    transaction: { type: "append_items", items: [user("new")] },
  });
  await open(plain).replaceHistoryWithCompaction([user("short")]);
  expect(texts(await open(plain).getItems())).toEqual(["short"]);
  await open(plain).applyHistoryTransaction({
    operationId: "3",
    transaction: { type: "append_items", items: [user("new")] },
  });
  expect(texts(await open(plain).getItems()), "compaction forgets no operation").toEqual(["short"]);
  // One entry, one operation, horizon and tail.
  expect(await rows()).toBe(4);
});

test("ten processes that add at once: nothing is lost, and a transaction of all counts once", async () => {
  const kv = openMemoryKv();
  const transaction: SessionHistoryTransaction = { type: "append_items", items: [user("once")] };
  await Promise.all(
    Array.from({ length: 10 }, async (_, index) => {
      const session = open(kv.handle());
      await retried(() => session.applyHistoryTransaction({ operationId: "all", transaction }));
      await retried(() => session.addItems([user(`${index}`)]));
    }),
  );
  const found = texts(await open(kv).getItems());
  expect(found.toSorted()).toEqual(
    [...Array.from({ length: 10 }, (_, index) => `${index}`), "once"].toSorted(),
  );
});

test("a transaction that fails says why, and changes nothing", async () => {
  const session = open(openMemoryKv());
  await session.applyHistoryTransaction({ operationId: "1", transaction: TRANSACTIONS[0]![1] });
  const conflict = session.applyHistoryTransaction({ operationId: "1", transaction: TRANSACTIONS[1]![1] });
  await expect(conflict).rejects.toMatchObject({
    code: "OPENAI_AGENTS_OPERATION_CONFLICT",
    session: "trip",
    operation: "1",
    retryable: false,
  } satisfies Partial<OpenAiAgentsError>);
  const mismatch = session.applyHistoryTransaction({ operationId: "2", transaction: TRANSACTIONS[2]![1] });
  await expect(mismatch).rejects.toMatchObject({ code: "OPENAI_AGENTS_SUFFIX_MISMATCH", session: "trip" });
  for (const wrong of [() => undefined, Number.NaN, 1n, [undefined], new Map(), Symbol("s")]) {
    const items = [{ ...user("x"), providerData: { wrong } }];
    const args = { operationId: "3", transaction: { type: "append_items" as const, items } };
    await expect(session.applyHistoryTransaction(args)).rejects.toThrow(TypeError);
  }
  const loop: Record<string, unknown> = {};
  loop["again"] = loop;
  await expect(session.addItems([{ ...user("x"), providerData: loop }])).rejects.toThrow(RangeError);
  const other = { operationId: "3", transaction: { type: "rename" } };
  await expect(session.applyHistoryTransaction(other as never)).rejects.toThrow(TypeError);
  expect(texts(await session.getItems())).toEqual(["one", "two"]);
  expect(() => new TidemarkSessions({ kv: openMemoryKv() }).session("")).toThrow(TypeError);
});

test("more than one commit takes is OPENAI_AGENTS_TOO_LARGE, and nothing is changed", async () => {
  const kv = openMemoryKv({ commitBytesMax: 200_000 });
  const session = open(kv);
  await session.addItems([user("one")]);
  const tooLarge = { code: "OPENAI_AGENTS_TOO_LARGE", limit: 200_000, retryable: false };
  await expect(session.addItems([user("x".repeat(300_000))])).rejects.toMatchObject(tooLarge);
  expect(texts(await session.getItems())).toEqual(["one"]);
  // Much at once lies in several rows of one commit.
  await session.addItems([user("a".repeat(70_000)), user("b".repeat(70_000))]);
  expect(texts(await session.getItems(1))).toEqual(["b".repeat(70_000)]);
  const narrow = open(openMemoryKv({ keysPerCommitMax: 3 }));
  const many = Array.from({ length: 5 }, () => user("x".repeat(60_000)));
  await expect(narrow.addItems(many)).rejects.toMatchObject({ code: "OPENAI_AGENTS_TOO_LARGE", limit: 3 });
});

test("a session that others keep changing is OPENAI_AGENTS_BUSY", async () => {
  const kv = openMemoryKv();
  const rival = replacedKv(kv, { commit: () => Promise.resolve({ committed: false, failed: 0 }) });
  const busy = { code: "OPENAI_AGENTS_BUSY", session: "trip", retryable: true };
  await expect(open(rival).addItems([user("one")])).rejects.toMatchObject(busy);
  expect(await open(kv).getItems()).toEqual([]);
});

test("a long history is read page by page, and is of one moment", async () => {
  const kv = openMemoryKv();
  const session = open(kv);
  for (let index = 0; index < 1_100; index++) await session.addItems([user(`${index}`)]);
  let digests = 0;
  const hasher: Hasher = {
    digest: (...given) => {
      digests += 1;
      return nobleHasher.digest(...given);
    },
    keyedDigest: (...given) => nobleHasher.keyedDigest(...given),
  };
  expect(await new TidemarkSessions({ kv, hasher }).session("trip").getItems()).toHaveLength(1_100);
  expect(digests, "each row is opened once").toBeLessThan(1_110);
  let scans = 0;
  const racing = replacedKv(kv, {
    scan: async (...given) => {
      const page = await kv.scan(...given);
      scans += 1;
      // Between the pages of the first read.
      if (scans === 1) await session.replaceHistoryWithCompaction([user("short")]);
      return page;
    },
  });
  expect(texts(await open(racing).getItems())).toEqual(["short"]);
  for (let index = 0; index < 30; index++) await session.addItems([user(`${index}`)]);
  expect(texts(await session.getItems(25))).toEqual(Array.from({ length: 25 }, (_, at) => `${at + 5}`));
});

test("a damaged record is KV_CORRUPT, not an item that is not there", async () => {
  const kv = openMemoryKv();
  await open(kv).applyHistoryTransaction({ operationId: "1", transaction: TRANSACTIONS[0]![1] });
  const { items } = await kv.scan("openai-agents/trip", {});
  expect(items).toHaveLength(3);
  for (const { key, value } of items) {
    const damaged = value.slice();
    damaged[damaged.length - 1]! ^= 1;
    await kv.commit("openai-agents/trip", { puts: [{ key, value: damaged }] });
    const session = open(kv);
    const again = session
      .applyHistoryTransaction({ operationId: "1", transaction: TRANSACTIONS[0]![1] })
      .then(() => session.addItems([user("new")]));
    await expect(again).rejects.toMatchObject({ code: "KV_CORRUPT" });
    await kv.commit("openai-agents/trip", { puts: [{ key, value }] });
  }
});

/** Tries again, as often as it must, what failed in a way that may pass. */
async function retried(call: () => Promise<unknown>, failed: () => unknown = () => undefined): Promise<void> {
  for (;;) {
    try {
      await call();
      return;
    } catch (error) {
      if (!(error instanceof KvError || error instanceof OpenAiAgentsError) || !error.retryable) throw error;
      failed();
    }
  }
}
