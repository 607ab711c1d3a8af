import { type Kv, KvError, openMemoryKv, prefixRange } from "@tidemark/kv";
import { interruptingKv, replacedKv } from "@tidemark/kv-conformance";
import type { SessionData } from "express-session";
import { expect, test } from "vitest";
import { type ExpressSessionError, TidemarkStore } from "../src/index.ts";
import { ConnectionWatch } from "../src/connection-watch.ts";
import { sessionOf } from "./store-contract.ts";

type Fields = SessionData & Record<string, unknown>;

/** A store over memory whose time stands until it is moved. */
function openStore(options: Partial<ConstructorParameters<typeof TidemarkStore>[0]> = {}) {
  const clock = { nowMs: 1_000_000 };
  const nowMs = (): number => clock.nowMs;
  const kv = openMemoryKv({ nowMs });
  const store = new TidemarkStore({ kv, nowMs, sweepEveryMs: Number.POSITIVE_INFINITY, ...options });
  return { clock, kv, store };
}

/** Without a date of its own: it lasts as `ttl` says. */
const made = (fields: Record<string, unknown>): Fields => sessionOf(fields, null) as Fields;

async function load(store: TidemarkStore, id: string): Promise<Fields> {
  const session = await store.get(id);
  expect(session, `session ${id}`).toBeDefined();
  return session as Fields;
}

async function rowsOf(kv: Kv, partition: string): Promise<number> {
  return (await kv.scan(partition, {})).items.length;
}

async function entriesOf(kv: Kv): Promise<number> {
  let count = 0;
  for (const shard of "0123456789abcdef") {
    count += (await kv.scan(`sess.expiry/${shard}`, prefixRange(["due"]))).items.length;
  }
  return count;
}

test("two requests at once that change different fields: both changes are kept, also those that remove", async () => {
  const { store } = openStore();
  await store.set("a", made({ user: "ada", cart: 1, seen: true }));
  const [one, two] = [await load(store, "a"), await load(store, "a")];
  one["cart"] = 2;
  delete one["seen"];
  two["theme"] = "dark";
  expect(await store.set("a", one)).toBe("stored");
  expect(await store.set("a", two)).toBe("stored");
  const { cookie: _cookie, ...fields } = await load(store, "a");
  expect(fields).toEqual({ user: "ada", cart: 2, theme: "dark" });
});

test("a session that is saved twice in one request is compared with what it saved before", async () => {
  const { store } = openStore();
  const session = made({ step: 1 });
  await store.set("a", session);
  const other = await load(store, "a");
  other["step"] = 2;
  await store.set("a", other);
  session["note"] = "x";
  await store.set("a", session);
  expect(await load(store, "a")).toMatchObject({ step: 2, note: "x" });
});

test.each(["set", "touch"] as const)(
  "%s() of a request that had loaded it brings no destroyed session back",
  async (method) => {
    const { store, kv } = openStore();
    await store.set("a", made({ user: "ada" }));
    const late = await load(store, "a");
    await store.destroy("a");
    late["cart"] = 1;
    expect(await store[method]("a", late)).toBe("gone");
    expect(await store.get("a")).toBeUndefined();
    expect(await rowsOf(kv, "sess/a"), "nothing is left of it").toBe(0);
    // Nor into the session that was made anew under the same id.
    await store.set("a", made({ user: "eve" }));
    expect(await store[method]("a", late)).toBe("gone");
    const { cookie: _cookie, ...fields } = await load(store, "a");
    expect(fields).toEqual({ user: "eve" });
  },
);

test("a read that follows a save waits for it, so that who is redirected finds what was saved", async () => {
  const { kv, store } = openStore();
  await store.set("a", made({ user: "ada" }));
  const gate = openGate();
  const slow = new TidemarkStore({ kv: slowKv(kv, gate.opened) });
  const session = (await slow.get("a")) as Fields;
  session["flash"] = "saved";
  const saving = slow.set("a", session);
  const reading = slow.get("a");
  gate.open();
  expect(await reading).toMatchObject({ flash: "saved" });
  await saving;
});

test("a session lasts as its cookie says, else as `ttl` says, by the clock of the store", async () => {
  const { clock, kv } = openStore();
  const nowMs = (): number => clock.nowMs;
  const store = new TidemarkStore({ kv, nowMs, ttl: 10 });
  await store.set("plain", made({}));
  await store.set("dated", {
    ...made({}),
    cookie: { originalMaxAge: 5_000, expires: new Date(clock.nowMs + 5_000) },
  });
  clock.nowMs += 4_999;
  expect(await store.length()).toBe(2);
  clock.nowMs += 1;
  expect(await store.get("dated")).toBeUndefined();
  expect(await store.touch("plain", made({}))).toBe("stored");
  clock.nowMs += 9_999;
  expect(await store.get("plain")).toBeDefined();
  const loaded = await load(store, "plain");
  clock.nowMs += 1;
  expect(await store.get("plain")).toBeUndefined();
  expect(await store.set("plain", loaded), "what is over stays over").toBe("gone");
});

test("`ttl` may be a function; what lasts no longer is destroyed", async () => {
  const { clock, store } = openStore({ ttl: (session: SessionData) => Number((session as Fields)["lasts"]) });
  await store.set("a", made({ lasts: 2 }));
  clock.nowMs += 1_999;
  const session = await load(store, "a");
  session["lasts"] = 0;
  expect(await store.set("a", session)).toBe("gone");
  expect(await store.get("a")).toBeUndefined();
});

test("with `disableTouch` a session lasts from its last save", async () => {
  const { clock, store } = openStore({ ttl: 10, disableTouch: true });
  await store.set("a", made({}));
  clock.nowMs += 9_000;
  expect(await store.touch("a", await load(store, "a"))).toBe("skipped");
  clock.nowMs += 1_000;
  expect(await store.get("a")).toBeUndefined();
});

test("sweep() removes what is over, at most so many, and looks again later at what lasts longer", async () => {
  const { clock, kv, store } = openStore({ ttl: 10 });
  for (let index = 0; index < 30; index++) await store.set(`s${index}`, made({ index }));
  clock.nowMs += 5_000;
  await store.touch("s7", await load(store, "s7"));
  clock.nowMs += 5_000;
  expect(await store.sweep(20)).toMatchObject({ more: true });
  expect(await store.sweep(20)).toMatchObject({ more: false });
  for (let index = 0; index < 30; index++) {
    expect(await rowsOf(kv, `sess/s${index}`), `rows of s${index}`).toBe(index === 7 ? 3 : 0);
  }
  expect(await entriesOf(kv)).toBe(1);
  expect(await store.length()).toBe(1);
  clock.nowMs += 5_000;
  expect(await store.sweep()).toEqual({ removed: 1, more: false });
  expect(await entriesOf(kv)).toBe(0);
});

test("a save removes some that are over, once in a while", async () => {
  const { clock, kv, store } = openStore({ ttl: 10, sweepEveryMs: 60_000 });
  await store.set("old", made({}));
  clock.nowMs += 59_999;
  await store.set("new", made({}));
  await store.close();
  expect(await rowsOf(kv, "sess/old")).toBe(2);
  clock.nowMs += 1;
  await store.set("new", made({}));
  await store.close();
  expect(await rowsOf(kv, "sess/old")).toBe(0);
});

test("a session that is touched while a sweep removes it stays", async () => {
  const { clock, kv, store } = openStore({ ttl: 10 });
  await store.set("a", made({ user: "ada" }));
  clock.nowMs += 10_000;
  let touched = false;
  const racing = replacedKv(kv, {
    commit: async (partition, commit) => {
      if (partition === "sess/a" && !touched) {
        touched = true;
        clock.nowMs -= 1;
        await store.touch("a", made({}));
        clock.nowMs += 1;
      }
      return kv.commit(partition, commit);
    },
  });
  const sweeper = new TidemarkStore({ kv: racing, nowMs: () => clock.nowMs });
  expect(await sweeper.sweep()).toMatchObject({ removed: 0 });
  expect(touched).toBe(true);
  expect(await load(store, "a")).toMatchObject({ user: "ada" });
});

test("more than one commit takes is EXPRESS_SESSION_TOO_LARGE, and nothing is written", async () => {
  const kv = openMemoryKv({ keysPerCommitMax: 8, commitBytesMax: 4_096 });
  const store = new TidemarkStore({ kv });
  const fields = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [`f${at}`, at]));
  await store.set("a", made(fields(5)));
  const refused = (limit: number) =>
    ({ code: "EXPRESS_SESSION_TOO_LARGE", limit, retryable: false }) satisfies Partial<ExpressSessionError>;
  await expect(
    store.set("a", made(Object.fromEntries(Object.entries(fields(13)).slice(5)))),
  ).rejects.toMatchObject(refused(8));
  await expect(store.set("a", made({ text: "x".repeat(5_000) }))).rejects.toMatchObject(refused(4_096));
  await expect(store.set("a", made({ ["n".repeat(300)]: 1 }))).rejects.toMatchObject(refused(256));
  expect(await load(store, "a")).toMatchObject(fields(5));
  // To destroy needs several commits, and the first of them counts.
  await store.destroy("a");
  expect(await rowsOf(kv, "sess/a")).toBe(0);
});

test("a store whose commits never pass is EXPRESS_SESSION_BUSY", async () => {
  const kv = openMemoryKv();
  const rival = replacedKv(kv, {
    commit: (partition, commit) =>
      partition === "sess/a"
        ? Promise.resolve({ committed: false, failed: 0 })
        : kv.commit(partition, commit),
  });
  await expect(new TidemarkStore({ kv: rival }).set("a", made({}))).rejects.toMatchObject({
    code: "EXPRESS_SESSION_BUSY",
    retryable: true,
  });
});

test("a damaged record is KV_CORRUPT, not a session that is not there", async () => {
  const { kv, store } = openStore();
  await store.set("a", made({ user: "ada" }));
  const { items } = await kv.scan("sess/a", {});
  for (const { key, value } of items) {
    const damaged = value.slice();
    damaged[damaged.length - 1]! ^= 1;
    await kv.commit("sess/a", { puts: [{ key, value: damaged }] });
    await expect(store.get("a")).rejects.toMatchObject({ code: "KV_CORRUPT" });
    await kv.commit("sess/a", { puts: [{ key, value }] });
  }
});

test.each(["before", "after"] as const)(
  "cut off at any call (%s it took effect) and tried again, a save is whole",
  async (when) => {
    for (let at = 1; ; at++) {
      const plain = openMemoryKv();
      const first = new TidemarkStore({ kv: plain });
      await first.set("a", made({ user: "ada", cart: 1 }));
      const kv = interruptingKv(plain, { at, when });
      const store = new TidemarkStore({ kv });
      const steps = async (): Promise<void> => {
        const session = await load(store, "a");
        session["cart"] = 2;
        delete session["user"];
        await store.set("a", session);
        await store.set("b", made({ user: "eve" }));
        await store.destroy("b");
      };
      await steps().catch((error: unknown) => {
        if (!(error instanceof KvError)) throw error;
        return steps();
      });
      const { cookie: _cookie, ...fields } = await load(first, "a");
      expect(fields).toEqual({ cart: 2 });
      expect(await first.get("b")).toBeUndefined();
      await store.close();
      if (!kv.interrupted) return;
    }
  },
);

test("callbacks are called once, on a stack of their own", async () => {
  const { store } = openStore();
  const told: unknown[] = [];
  await new Promise<void>((resolve) => {
    const failing = (...given: unknown[]): void => {
      told.push(given);
      resolve();
      throw new Error("The callback's own");
    };
    process.once("uncaughtException", (error) => told.push(error.message));
    void store.get("nobody", failing);
  });
  await store.get("nobody");
  expect(told).toEqual([[null, undefined], "The callback's own"]);
  const refused = await new Promise((resolve) => {
    void store.set("x".repeat(1_000), made({}), resolve);
  });
  expect(refused).toMatchObject({ code: "KV_TOO_LARGE" });
});

test("emits disconnect when the store does not answer, asks until it does, and emits connect", async () => {
  const { kv } = openStore();
  const flaky = new FlakyKv(kv);
  const told: boolean[] = [];
  const timers: (() => void)[] = [];
  const watch = new ConnectionWatch({
    kv: flaky.kv,
    changed: (connected) => told.push(connected),
    setTimer: (_ms, run) => {
      timers.push(run);
      return () => timers.splice(timers.indexOf(run), 1);
    },
  });
  await watch.watch(kv.nowMs());
  flaky.away = true;
  await expect(watch.watch(flaky.kv.nowMs())).rejects.toMatchObject({ code: "KV_UNAVAILABLE" });
  await expect.poll(() => timers).toHaveLength(1);
  expect(told).toEqual([false]);
  timers.shift()!();
  await expect.poll(() => timers).toHaveLength(1);
  expect(told, "told once").toEqual([false]);
  flaky.away = false;
  timers.shift()!();
  await expect.poll(() => told).toEqual([false, true]);
  expect(timers).toHaveLength(0);
  flaky.away = true;
  await expect(watch.watch(flaky.kv.nowMs())).rejects.toThrow();
  await expect.poll(() => timers).toHaveLength(1);
  await watch.close();
  expect(timers, "asks no more").toHaveLength(0);
});

test("a call that failed while the store answers is no disconnect, and a store that is away is one", async () => {
  const flaky = new FlakyKv(openMemoryKv());
  const store = new TidemarkStore({ kv: flaky.kv });
  const disconnected = new Promise<void>((resolve) => store.once("disconnect", resolve));
  flaky.away = true;
  await expect(store.set("a", made({}))).rejects.toMatchObject({ code: "KV_UNAVAILABLE" });
  await disconnected;
  await store.close();
  const once = new TidemarkStore({ kv: interruptingKv(openMemoryKv(), { at: 1, when: "before" }) });
  once.on("disconnect", () => expect.unreachable());
  await expect(once.get("a")).rejects.toMatchObject({ code: "KV_UNAVAILABLE" });
  await once.close();
});

test("wrong options are refused", async () => {
  const kv = openMemoryKv();
  for (const wrong of [
    { prefix: "A" },
    { ttl: 0 },
    { ttl: Number.NaN },
    { sweepEveryMs: 0 },
    { graceMs: -1 },
  ]) {
    expect(() => new TidemarkStore({ kv, ...wrong }), JSON.stringify(wrong)).toThrow(RangeError);
  }
  for (const limit of [0, 1.5, 10_001]) {
    await expect(new TidemarkStore({ kv }).sweep(limit), `${limit}`).rejects.toThrow(RangeError);
  }
});

/** A store that can go away. */
class FlakyKv {
  away = false;
  readonly kv: Kv;

  constructor(kv: Kv) {
    const asked = <Result>(call: () => Promise<Result>): Promise<Result> =>
      this.away ? Promise.reject(new KvError("KV_UNAVAILABLE", "Away", { committed: "no" })) : call();
    this.kv = replacedKv(kv, {
      nowMs: () => asked(() => kv.nowMs()),
      get: (...given) => asked(() => kv.get(...given)),
    });
  }
}

/** A store whose commits wait. */
function slowKv(kv: Kv, until: Promise<void>): Kv {
  return replacedKv(kv, { commit: (...given) => until.then(() => kv.commit(...given)) });
}

function openGate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { opened, open };
}
