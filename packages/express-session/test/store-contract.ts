import type { SessionData, Store } from "express-session";

/** Calls a store back as the middleware does, and gives what it told. */
export function ask(store: Store) {
  const call = <Result>(
    make: (done: (error: unknown, result?: Result) => void) => void,
  ): Promise<Result | undefined> =>
    new Promise((resolve, reject) => {
      make((error, result) => (error instanceof Error ? reject(error) : resolve(result ?? undefined)));
    });
  return {
    get: (id: string) => call<SessionData | null>((done) => store.get(id, done)),
    set: (id: string, session: SessionData) => call((done) => store.set(id, session, done)),
    destroy: (id: string) => call((done) => store.destroy(id, done)),
    touch: (id: string, session: SessionData) =>
      call((done) => store.touch!(id, session, done as () => void)),
    all: () => call<Record<string, SessionData> | SessionData[] | null>((done) => store.all!(done)),
    length: () => call<number>((done) => store.length!(done)),
    clear: () => call((done) => store.clear!(done)),
  };
}

/** A session as an application has it before it is saved. */
export function sessionOf(
  fields: Record<string, unknown> = {},
  lastsMs: number | null = 60_000,
): SessionData {
  const expires = lastsMs === null ? null : new Date(Date.now() + lastsMs);
  return {
    cookie: { originalMaxAge: lastsMs, expires, httpOnly: true, path: "/" },
    ...fields,
  };
}

/** What a store says without what differs from call to call, as JSON says it. */
async function seen(store: Store, id: string): Promise<unknown> {
  const session = await ask(store).get(id);
  return session === undefined ? "none" : (JSON.parse(JSON.stringify(session)) as unknown);
}

/** All sessions by id, whether a store gives them in a record or in a list. */
async function allOf(store: Store): Promise<unknown> {
  const all = (await ask(store).all()) ?? [];
  const entries = Array.isArray(all)
    ? all.map((session) => {
        const { id, ...rest } = session as SessionData & { id: string };
        return [id, rest] as const;
      })
    : Object.entries(all);
  const sorted = entries.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return JSON.parse(JSON.stringify(sorted)) as unknown;
}

/** A check of a store: what it gives is compared with what the reference gives. */
export interface StoreCheck {
  readonly name: string;
  run(store: Store): Promise<unknown>;
}

const AGES = { soon: sessionOf({}, 60_000).cookie, late: sessionOf({}, 120_000).cookie };

/** What every store for `express-session` does alike, as its reference does it. */
export const STORE_CHECKS: readonly StoreCheck[] = [
  { name: "a session that is not there is no error", run: (store) => seen(store, "nobody") },
  {
    name: "what is set is got, and changes nothing of what was given",
    async run(store) {
      const fields = {
        user: "ada",
        cart: { items: [1, 2, { three: null }] },
        empty: "",
        none: null,
        no: false,
      };
      const session = { ...sessionOf(fields), cookie: AGES.soon };
      await ask(store).set("a", session);
      session.cookie = AGES.late;
      return seen(store, "a");
    },
  },
  {
    name: "values are what JSON makes of them",
    async run(store) {
      const day = new Date(86_400_000);
      const values = {
        day,
        nothing: undefined,
        map: new Map([[1, 2]]),
        list: [undefined],
        notANumber: Number.NaN,
      };
      await ask(store).set("a", { ...sessionOf(values), cookie: AGES.soon });
      return seen(store, "a");
    },
  },
  {
    name: "fields may have any name",
    async run(store) {
      const names = {
        constructor: 1,
        toString: 2,
        "": 3,
        "~loaded": 4,
        "\u0000": 5,
        ключ: 6,
        "cookie.expires": 7,
      };
      await ask(store).set("a", { ...sessionOf(names), cookie: AGES.soon });
      return seen(store, "a");
    },
  },
  {
    name: "a session that is set again is replaced as a whole",
    async run(store) {
      await ask(store).set("a", { ...sessionOf({ user: "ada", cart: 1 }), cookie: AGES.soon });
      await ask(store).set("a", { ...sessionOf({ cart: 2 }), cookie: AGES.late });
      return seen(store, "a");
    },
  },
  {
    name: "a session that is destroyed is not there, and may be made again",
    async run(store) {
      await ask(store).set("a", { ...sessionOf({ user: "ada" }), cookie: AGES.soon });
      await ask(store).destroy("a");
      const destroyed = await seen(store, "a");
      await ask(store).destroy("a");
      await ask(store).set("a", { ...sessionOf({ cart: 1 }), cookie: AGES.soon });
      return [destroyed, await seen(store, "a")];
    },
  },
  {
    name: "a touch changes no field, and makes no session",
    async run(store) {
      await ask(store).set("a", { ...sessionOf({ user: "ada" }), cookie: AGES.soon });
      await ask(store).touch("a", { ...sessionOf({ user: "eve" }), cookie: AGES.soon });
      await ask(store).touch("b", { ...sessionOf({ user: "eve" }), cookie: AGES.soon });
      await ask(store).destroy("a");
      const before = await seen(store, "a");
      await ask(store).touch("a", { ...sessionOf({ user: "eve" }), cookie: AGES.soon });
      return [before, await seen(store, "a"), await seen(store, "b")];
    },
  },
  {
    name: "a session whose cookie is over is not there",
    async run(store) {
      await ask(store).set("a", sessionOf({ user: "ada" }, -1_000));
      await ask(store).set("b", { ...sessionOf({ user: "ada" }), cookie: AGES.soon });
      await ask(store).set("b", sessionOf({ user: "ada" }, -1_000));
      return [await seen(store, "a"), await seen(store, "b"), await ask(store).length()];
    },
  },
  {
    name: "a session without a cookie that ends is kept",
    async run(store) {
      await ask(store).set("a", sessionOf({ user: "ada" }, null));
      return seen(store, "a");
    },
  },
  {
    name: "all(), length() and clear() see every session once",
    async run(store) {
      const empty = [await allOf(store), await ask(store).length()];
      for (const id of ["a", "b", "c"])
        await ask(store).set(id, { ...sessionOf({ user: `of ${id}` }), cookie: AGES.soon });
      await ask(store).set("b", { ...sessionOf({ again: true }), cookie: AGES.late });
      await ask(store).destroy("c");
      const full = [await allOf(store), await ask(store).length()];
      await ask(store).clear();
      return [empty, full, await allOf(store), await ask(store).length(), await seen(store, "a")];
    },
  },
  {
    name: "load() gives a session with its methods",
    async run(store) {
      await ask(store).set("a", { ...sessionOf({ user: "ada" }), cookie: AGES.soon });
      const loaded = await new Promise<SessionData | undefined>((resolve, reject) => {
        store.load("a", (error, session) => (error ? reject(error as Error) : resolve(session)));
      });
      const none = await new Promise((resolve) => store.load("b", (...told) => resolve(told.length)));
      return [
        typeof (loaded as { save?: unknown }).save,
        JSON.parse(JSON.stringify(loaded)) as unknown,
        none,
      ];
    },
  },
];
