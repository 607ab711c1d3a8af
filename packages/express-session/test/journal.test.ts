import { openMemoryKv } from "@tidemark/kv";
import type { SessionData } from "express-session";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { JournalNetwork } from "../../session-store/test/journal-network.ts";
import { TidemarkStore } from "../src/index.ts";
import { sessionOf } from "./store-contract.ts";

const REGIONS = ["us-east", "eu-west"] as const;
type Fields = SessionData & Record<string, unknown>;
const made = (fields: Record<string, unknown>): Fields => sessionOf(fields, null) as Fields;

/** A store in each region, each with a key-value store of its own. */
function openRegions(options: { readonly graceMs?: number } = {}) {
  const clock = { nowMs: 1_000_000 };
  const nowMs = (): number => clock.nowMs;
  const network = new JournalNetwork(REGIONS, { entryBytesMax: 4_096 });
  const open = (name: string) => {
    const kv = openMemoryKv({ nowMs });
    const journal = network.journal(name);
    return {
      kv,
      store: new TidemarkStore({ kv, journal, nowMs, ttl: 60, sweepEveryMs: Infinity, ...options }),
    };
  };
  const [us, eu] = [open(REGIONS[0]), open(REGIONS[1])];
  return {
    clock,
    network,
    us: us.store,
    eu: eu.store,
    stores: [us.store, eu.store] as const,
    kvs: [us.kv, eu.kv],
  };
}

async function fieldsOf(store: TidemarkStore, id = "a"): Promise<Record<string, unknown> | undefined> {
  const session = await store.get(id);
  if (session === undefined) return undefined;
  const { cookie: _cookie, ...fields } = session;
  return fields;
}

test("a session that was saved in one region is in the other, and what both changed at once is merged", async () => {
  const { network, us, eu } = openRegions();
  await us.set("a", made({ user: "ada", cart: 1 }));
  network.deliverAll();
  const [here, there] = [(await us.get("a")) as Fields, (await eu.get("a")) as Fields];
  here["theme"] = "dark";
  delete there["cart"];
  there["lang"] = "pt";
  await us.set("a", here);
  await eu.set("a", there);
  network.deliverAll();
  for (const store of [us, eu])
    expect(await fieldsOf(store)).toEqual({ user: "ada", theme: "dark", lang: "pt" });
});

test("a session that is destroyed in one region is gone in all, though the other went on with it", async () => {
  const { network, us, eu } = openRegions();
  await us.set("a", made({ user: "ada" }));
  network.deliverAll();
  const there = (await eu.get("a")) as Fields;
  await us.destroy("a");
  there["cart"] = 1;
  expect(await eu.set("a", there), "not heard of it yet").toBe("stored");
  expect(await eu.touch("a", there)).toBe("stored");
  network.deliverAll();
  for (const store of [us, eu]) expect(await fieldsOf(store)).toBeUndefined();
  expect(await eu.set("a", there)).toBe("gone");
  // Made anew it is a life of its own.
  await eu.set("a", made({ user: "eve" }));
  network.deliverAll();
  for (const store of [us, eu]) expect(await fieldsOf(store)).toEqual({ user: "eve" });
});

test("who logs out in a region that has not heard of the session yet is logged out", async () => {
  const { network, us, eu } = openRegions();
  await us.set("a", made({ user: "ada" }));
  await eu.destroy("a");
  network.deliverAll();
  for (const store of [us, eu]) expect(await fieldsOf(store)).toBeUndefined();
});

test("a session that lasts longer in another region is not removed in this one", async () => {
  const { clock, network, us, eu } = openRegions({ graceMs: 1_000 });
  await us.set("a", made({ user: "ada" }));
  network.deliverAll();
  clock.nowMs += 59_000;
  await eu.touch("a", made({}));
  clock.nowMs += 1_999;
  expect(await us.sweep(), "it has not heard of the touch, and waits").toEqual({ removed: 0, more: false });
  network.deliverAll();
  clock.nowMs += 1;
  expect(await us.sweep()).toEqual({ removed: 0, more: false });
  expect(await fieldsOf(us)).toEqual({ user: "ada" });
  clock.nowMs += 60_000;
  expect(await us.sweep()).toEqual({ removed: 1, more: false });
  network.deliverAll();
  expect(await eu.get("a")).toBeUndefined();
});

test("follow() counts and removes sessions that were made in another region", async () => {
  const { clock, network, us, eu } = openRegions({ graceMs: 0 });
  const ended = new AbortController();
  const failed: unknown[] = [];
  const following = eu.follow({ signal: ended.signal, onError: (_session, error) => failed.push(error) });
  await us.set("a", made({ user: "ada" }));
  network.deliverAll();
  await expect.poll(() => eu.length()).toBe(1);
  expect(Object.keys((await eu.all()) ?? {})).toEqual(["a"]);
  clock.nowMs += 60_000;
  expect(await eu.sweep()).toEqual({ removed: 1, more: false });
  ended.abort();
  await following;
  expect(failed).toEqual([]);
  await expect(
    new TidemarkStore({ kv: openMemoryKv() }).follow({ signal: ended.signal, onError: () => undefined }),
  ).rejects.toThrow(TypeError);
});

test("RUN-13 whatever two regions save, touch and destroy, in whatever order it arrives, both end with the same", async () => {
  const step = fc.record({
    region: fc.constantFrom<0 | 1>(0, 1),
    do: fc.constantFrom("save", "save", "load", "touch", "destroy", "make", "deliver", "deliver"),
    field: fc.constantFrom("x", "y"),
    value: fc.option(fc.nat({ max: 9 }), { nil: undefined }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const { network, stores } = openRegions();
      const loaded: (Fields | undefined)[] = [undefined, undefined];
      for (const { region, do: what, field, value } of steps) {
        const store = stores[region];
        if (what === "load") loaded[region] = (await store.get("a")) as Fields | undefined;
        else if (what === "make") await store.set("a", made({ [field]: value }));
        else if (what === "destroy") await store.destroy("a");
        else if (what === "deliver") network.deliver(REGIONS[region], REGIONS[1 - region]!, 1);
        else {
          const session = loaded[region];
          if (session === undefined) continue;
          session[field] = value;
          await (what === "save" ? store.set("a", session) : store.touch("a", session));
        }
      }
      network.deliverAll();
      const [ours, theirs] = await Promise.all(stores.map((store) => store.get("a")));
      expect(ours).toEqual(theirs);
    }),
    { numRuns: 100 },
  );
});
