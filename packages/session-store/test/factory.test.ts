import { openMemoryKv } from "@tidemark/kv";
import { describe, expect, test } from "vitest";
import { openSessionStores, parentOf, type SessionMeta, type SessionStore } from "../src/index.ts";
import { sessionPartition } from "../src/keys.ts";
import { backends } from "./backends.ts";
import { refused } from "./refusal.ts";
import { appending, Bench, hold, kvWith, node, userMessage } from "./stores.ts";

describe.each(backends)("the factory over %s", (_, backend) => {
  test("C-84 opening what is missing is none; create seeds the meta, and again changes nothing; delete is idempotent", async () => {
    await using bench = new Bench(backend);
    const stores = await bench.stores();
    expect(await stores.open("s")).toBeUndefined();
    const session = await stores.create({ id: "s", model: "m-1" });
    const seeded = (await session.meta())!;
    expect(seeded).toEqual({
      id: "s",
      name: "s",
      createdAt: "1970-01-01T00:00:01.000Z",
      model: "m-1",
      relation: { type: "root" },
    });
    const edited = { ...seeded, name: "edited" };
    await session.saveMeta(edited);
    expect(await (await stores.create({ id: "s", model: "m-2", name: "other" })).meta()).toEqual(edited);
    await session.commit(appending(session, await hold(session), [node("a")]));
    await stores.delete("s");
    await stores.delete("s");
    await stores.delete("never");
    expect(await stores.open("s")).toBeUndefined();
    expect(await stores.list()).toEqual({ sessions: [] });
  });

  test("C-85 RUN-1 an id is used once: neither create nor fork makes a deleted session again", async () => {
    await using bench = new Bench(backend);
    const stores = await bench.stores();
    const parent = await stores.create({ id: "parent", model: "m" });
    await stores.create({ id: "s", model: "m" });
    await stores.delete("s");
    for (const call of [() => stores.create({ id: "s", model: "m" }), () => parent.fork({ id: "s" })]) {
      expect(await refused(call())).toMatchObject({ code: "SESSION_DELETED", session: "s" });
    }
    expect(await bench.dump("s")).toHaveLength(1);
    bench.nowMs += 1;
    expect(await stores.sweepDirectory(bench.nowMs)).toBe(1);
  });

  test("C-86 everything survives closing, and is there for another handle", async () => {
    await using bench = new Bench(backend);
    const stores = await bench.stores();
    const session = await stores.create({ id: "s", model: "m", name: "n" });
    const lease = await hold(session);
    await session.work.enqueue({ items: [{ payload: 1 }] });
    const checkpoint = { turnState: { turnIndex: 1, usage: {} }, toolState: { body: Uint8Array.of(7) } };
    await session.commit(appending(session, lease, [userMessage("a", "hi")], { checkpoint }));
    const all = async (one: SessionStore) => [
      await one.meta(),
      await one.pickerInfo(),
      await one.load(),
      await one.work.list(),
      await one.lease.current(),
    ];
    const before = await all(session);
    await stores.close();
    await stores.close();
    expect((await refused(stores.open("s"))).code).toBe("STORE_CLOSED");
    expect(await all((await (await bench.stores()).open("s"))!)).toEqual(before);
  });

  test("C-12 C-79 session meta round-trips field by field, and names the parent; that of another session is refused", async () => {
    await using bench = new Bench(backend);
    const session = await bench.session();
    const meta: SessionMeta = {
      id: "s",
      name: "A name 😀",
      createdAt: "2026-01-01T00:00:00.000Z",
      model: "m",
      workingDirectory: "/w",
      relation: { type: "child", parent: "p", cause: "fork" },
    };
    await session.saveMeta({ ...meta, unknown: 1 } as SessionMeta);
    expect(await session.meta()).toEqual(meta);
    expect(parentOf(meta)).toBe("p");
    expect(parentOf({ relation: { type: "root" } })).toBeUndefined();
    expect(await refused(session.saveMeta({ ...meta, id: "t" }))).toMatchObject({
      code: "SESSION_BINDING_MISMATCH",
      bound: "s",
      attempted: "t",
    });
  });

  test("C-21 RUN-11 the factory and every store say what a write survives, and too little is refused", async () => {
    await using bench = new Bench(backend);
    const stores = await bench.stores();
    const { durability } = (await bench.handle()).capabilities;
    expect([stores.durability, (await stores.create({ model: "m" })).durability]).toEqual([
      durability,
      durability,
    ]);
    expect((await bench.stores({ requireDurable: durability })).durability).toBe(durability);
    expect(await refused(bench.stores({ requireDurable: "region" }))).toMatchObject({
      code: "DURABILITY_TOO_LOW",
      durability,
    });
  });

  test("lists each session once, page by page, and not what was deleted or never made", async () => {
    await using bench = new Bench(backend);
    const stores = await bench.stores();
    const made = Array.from({ length: 30 }, (_, index) => `s-${index}`);
    for (const id of made) await stores.create({ id, model: "m" });
    await stores.delete("s-7");
    const listed: string[] = [];
    let after: string | undefined;
    do {
      const page = await stores.list({ limit: 7, ...(after === undefined ? {} : { after }) });
      listed.push(...page.sessions.map(({ id }) => id));
      after = page.next;
    } while (after !== undefined);
    expect(listed.toSorted()).toEqual(made.filter((id) => id !== "s-7").toSorted());
  });

  test("a session whose making was cut short is not there, and is made, or swept, later", async () => {
    for (const at of [2, 3, 4, 5]) {
      await using bench = new Bench(backend);
      const kv = await bench.handle();
      let commits = 0;
      const failing = kvWith(kv, {
        commit: async (...call: Parameters<typeof kv.commit>) => {
          commits += 1;
          if (commits >= at) throw new Error("the process ended");
          return kv.commit(...call);
        },
      });
      const whole = await bench.stores();
      const parent = await whole.create({ id: "parent", model: "m" });
      const nodes = Array.from({ length: 200 }, (_, index) =>
        node(`n${index}`, index === 0 ? undefined : `n${index - 1}`),
      );
      await parent.commit(appending(parent, await hold(parent), nodes));
      const cut = (await (await bench.stores({ kv: failing })).open("parent"))!;
      await expect(cut.fork({ id: "child" })).rejects.toThrow("the process ended");
      expect(await whole.open("child"), `after commit ${at}`).toBeUndefined();
      const child = await parent.fork({ id: "child" });
      expect((await child.load({ scope: "path" }))?.graph.leaf).toBe("n199");
      expect((await child.load())?.graph.nodes).toEqual(nodes);
      expect((await whole.list()).sessions.map(({ id }) => id).toSorted()).toEqual(["child", "parent"]);
    }
  });

  test("a fork begins as its parent is at a leaf, stands by itself, and is made once", async () => {
    await using bench = new Bench(backend);
    const stores = await bench.stores();
    const parent = await stores.create({ id: "parent", model: "m", workingDirectory: "/w" });
    const lease = await hold(parent);
    const frame = { id: "f", session: "parent", status: "active", reason: "initial", createdAt: "1" };
    await parent.commit(
      appending(parent, lease, [userMessage("a", "one"), node("b", "a"), userMessage("c", "two", "b")], {
        frames: [
          { ...frame, assignment: { provider: "p", model: "m" }, executionState: { body: Uint8Array.of(1) } },
        ],
        currentFrame: "f",
        checkpoint: { turnState: { turnIndex: 2, usage: {} }, toolState: { body: Uint8Array.of(2) } },
        usage: [{ source: "agent", model: "m", counts: { input: 5 } }],
      }),
    );
    const here = await parent.fork({ id: "here", cause: "to try something" });
    const earlier = await parent.fork({ id: "earlier", leaf: "b", name: "Earlier" });
    expect(await here.meta()).toMatchObject({
      name: "here",
      model: "m",
      workingDirectory: "/w",
      relation: { type: "child", parent: "parent", cause: "to try something" },
    });
    expect(await earlier.pickerInfo()).toMatchObject({ userMessageCount: 1, firstUserMessage: "one" });
    await stores.delete("parent");
    expect(await here.load()).toMatchObject({
      session: "here",
      revision: 1,
      graph: { leaf: "c", nodes: [{ id: "a" }, { id: "b" }, { id: "c" }] },
      checkpoint: { toolState: { body: Uint8Array.of(2) } },
      frames: [{ id: "f", session: "here" }],
      currentFrame: "f",
      usage: [],
    });
    const head = (await earlier.load())!;
    expect(head.graph).toMatchObject({ leaf: "b", nodes: [{ id: "a" }, { id: "b" }] });
    expect(head.checkpoint).toBeUndefined();
    expect(await earlier.component(head.frames[0]!.executionState!.ref)).toEqual(Uint8Array.of(1));
    const going = appending(earlier, await hold(earlier), [node("d", "b")], { expected: 1 });
    expect((await earlier.commit(going)).revision).toBe(2);
  });

  test("a fork to an id is the same child again; to another session's id it is SESSION_EXISTS; an unknown leaf is typed", async () => {
    await using bench = new Bench(backend);
    const stores = await bench.stores();
    const parent = await stores.create({ id: "parent", model: "m" });
    await stores.create({ id: "other", model: "m" });
    expect(await refused(parent.fork({ leaf: "zz" }))).toMatchObject({
      code: "LEAF_UNRESOLVABLE",
      node: "zz",
    });
    expect(await (await parent.fork({ id: "empty" })).load()).toBeUndefined();
    await parent.commit(appending(parent, await hold(parent), [node("a")]));
    const child = await parent.fork({ id: "child" });
    await child.commit(appending(child, await hold(child), [node("b", "a")]));
    expect((await (await parent.fork({ id: "child" })).headMeta())?.revision).toBe(2);
    expect(await refused(parent.fork({ id: "other" }))).toMatchObject({
      code: "SESSION_EXISTS",
      session: "other",
    });
  });
});

test("a key-value store that cannot hold a session is refused", async () => {
  await expect(openSessionStores({ kv: openMemoryKv({ keysPerCommitMax: 1 }) })).rejects.toThrow(RangeError);
  await expect(openSessionStores({ kv: openMemoryKv({ scan: false }) })).rejects.toThrow(RangeError);
});

test("a sweep gives the row back to a session that is made just then", async () => {
  await using bench = new Bench();
  const stores = await bench.stores();
  const kv = await bench.handle();
  const late = kvWith(kv, {
    commit: async (partition: string, commit: Parameters<typeof kv.commit>[1]) => {
      if (partition === sessionPartition("s")) throw new Error("not yet");
      return kv.commit(partition, commit);
    },
  });
  await expect((await bench.stores({ kv: late })).create({ id: "s", model: "m" })).rejects.toThrow("not yet");
  const sweeping = kvWith(kv, {
    commit: async (...call: Parameters<typeof kv.commit>) => {
      const answer = await kv.commit(...call);
      if (call[1].deletes?.length === 1 && (await stores.open("s")) === undefined) {
        await stores.create({ id: "s", model: "m" });
        await kv.commit(call[0], { deletes: call[1].deletes });
      }
      return answer;
    },
  });
  expect(await (await bench.stores({ kv: sweeping })).sweepDirectory(bench.nowMs)).toBe(0);
  expect((await stores.list()).sessions).toMatchObject([{ id: "s" }]);
});
