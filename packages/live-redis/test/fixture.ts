import type { LiveReplayStore } from "@tidemark/live";
import type { LiveStoreBounds, LiveStoreFixture } from "@tidemark/live-conformance";
import { openRedisReplayStore, type RedisClient } from "../src/index.ts";

/** Where the stores of fixtures are: a way to connect, and to reach behind their backs. */
export interface Place {
  readonly connection: RedisClient;
  /** Loses everything. */
  flush(): Promise<unknown>;
  /** Adds to a field of every buffer. */
  add(pattern: string, field: string, amount: number): Promise<unknown>;
  /** Ends the connections of clients. */
  cut(): Promise<unknown>;
}

const IDLE_MS = 600_000;
let stores = 0;

/** A store under a prefix of its own; what earlier ones hold is nothing to it. Time is virtual. */
export async function openFixture(place: Place, bounds: LiveStoreBounds): Promise<LiveStoreFixture> {
  stores += 1;
  const prefix = `live${stores}`;
  const opened: LiveReplayStore[] = [];
  let nowMs = 0;
  const open = async (): Promise<LiveReplayStore> => {
    const { connection } = place;
    const own = { prefix, idleMsMax: IDLE_MS, blockMs: 200, monotonicMs: () => nowMs };
    const store = await openRedisReplayStore({ connection, ...own, ...bounds });
    opened.push(store);
    return store;
  };
  const store = await open();
  return {
    store,
    openSecond: open,
    advance: async (ms) => void (nowMs += ms),
    // The server's clock is that of its machine; what a buffer remembers of it is moved instead.
    stepWallClock: async (ms) => void (await place.add(`${prefix}:*:buffer`, "wall", -ms)),
    forget: async () => {
      await place.flush();
      return store;
    },
    evict: async () => void (nowMs += IDLE_MS + 1),
    cut: async () => {
      await place.cut();
      // Every handle has connected again: an append that meets the end of its connection may be lost.
      await Promise.all(opened.map((each) => each.currentCursor("unheard of", 0)));
    },
    close: async () => void (await Promise.all(opened.map((each) => each.close()))),
  };
}
