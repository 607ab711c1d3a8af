import expressSession, { type SessionData } from "express-session";
import * as fc from "fast-check";
import { afterAll, describe, expect, test } from "vitest";
import { TidemarkStore } from "../src/index.ts";
import { ask, sessionOf, STORE_CHECKS } from "./store-contract.ts";
import { KVS } from "./stores.ts";

const { MemoryStore } = expressSession;

describe.each(Object.keys(KVS))("RUN-13 over %s", async (kind) => {
  const { kv, close } = await KVS[kind]!();
  afterAll(close);
  let stores = 0;
  /** Stores under names of their own do not see each other's sessions. */
  const openStore = () => new TidemarkStore({ kv, prefix: `check-${stores++}` });

  test.each(STORE_CHECKS)("as MemoryStore: $name", async ({ run }) => {
    const store = openStore();
    expect(await run(store)).toEqual(await run(new MemoryStore()));
    await store.close();
  });

  test("whatever calls are made, the answers are those of MemoryStore", async () => {
    const cookies = [sessionOf({}, 60_000).cookie, sessionOf({}, 90_000).cookie, sessionOf({}, -1).cookie];
    const session = fc
      .record(
        { cookie: fc.constantFrom(...cookies), user: fc.jsonValue(), cart: fc.jsonValue() },
        { requiredKeys: ["cookie"] },
      )
      .map((made) => made as unknown as SessionData);
    const id = fc.constantFrom("a", "b");
    const step = fc.oneof(
      fc.record({ do: fc.constantFrom("set" as const), id, session }),
      fc.record({ do: fc.constantFrom("touch" as const), id, session }),
      fc.record({ do: fc.constantFrom("destroy" as const, "get" as const), id }),
      fc.record({ do: fc.constantFrom("all" as const, "length" as const, "clear" as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
        const [ours, theirs] = [ask(openStore()), ask(new MemoryStore())];
        for (const one of steps) {
          const answers = await Promise.all(
            [ours, theirs].map(async (store) => {
              if (one.do === "set" || one.do === "touch") return store[one.do](one.id, one.session);
              if (one.do === "get") return store.get(one.id);
              if (one.do === "destroy") return store.destroy(one.id);
              return store[one.do]();
            }),
          );
          // A callback for what gives nothing is told nothing that counts.
          if (["get", "all", "length"].includes(one.do)) expect(json(answers[0])).toEqual(json(answers[1]));
        }
      }),
      { numRuns: kind === "memory" ? 200 : 20 },
    );
  });
});

function json(value: unknown): unknown {
  return value === undefined ? undefined : (JSON.parse(JSON.stringify(value)) as unknown);
}
