import {
  LiveError,
  type LiveEvent,
  type LiveReplayStore,
  openMemoryReplayStore,
  type MemoryReplayStoreOptions,
} from "@tidemark/live";
import type { LiveStoreBounds, LiveStoreFixture } from "../src/index.ts";

/** The clocks of a fixture, in milliseconds. */
export interface Clocks {
  monotonicMs: number;
  wallMs: number;
}

/** What a double makes of a store: only what it gives is replaced. */
export interface Planted {
  /** Members of a handle. */
  readonly store?: (
    inner: LiveReplayStore,
    clocks: Clocks,
    closeAll: () => Promise<void>,
  ) => Partial<LiveReplayStore>;
  /** Options of the store underneath. */
  readonly options?: (bounds: LiveStoreBounds, clocks: Clocks) => MemoryReplayStoreOptions;
  /** Members of the fixture. */
  readonly fixture?: (inner: LiveStoreFixture) => Partial<LiveStoreFixture>;
}

const IDLE_MS = 600_000;

/** Puts other members before those of an object that may be a class with private fields. */
export function withMembers<Whole extends object>(inner: Whole, members: Partial<Whole>): Whole {
  return new Proxy(inner, {
    get(target, name) {
      if (Object.hasOwn(members, name)) return members[name as keyof Whole];
      const member: unknown = Reflect.get(target, name);
      return typeof member === "function" ? member.bind(target) : member;
    },
  });
}

/** Opens a store in memory as a fixture with every hook; several handles of it close apart. */
export async function openMemoryFixture(
  bounds: LiveStoreBounds,
  planted: Planted = {},
): Promise<LiveStoreFixture> {
  const clocks: Clocks = { monotonicMs: 0, wallMs: 0 };
  const openMemory = (): LiveReplayStore =>
    openMemoryReplayStore({
      ...bounds,
      idleMsMax: IDLE_MS,
      monotonicMs: () => clocks.monotonicMs,
      ...planted.options?.(bounds, clocks),
    });
  let memory = openMemory();
  const closeAll = (): Promise<void> => memory.close();
  const open = (): LiveReplayStore => {
    const handle = new Handle(() => memory);
    return withMembers<LiveReplayStore>(handle, planted.store?.(handle, clocks, closeAll) ?? {});
  };
  const fixture: LiveStoreFixture = {
    store: open(),
    openSecond: async () => open(),
    advance: async (ms) => void (clocks.monotonicMs += ms),
    stepWallClock: async (ms) => void (clocks.wallMs += ms),
    forget: async () => {
      await memory.close();
      memory = openMemory();
      return open();
    },
    evict: async () => {
      clocks.monotonicMs += IDLE_MS + 1;
      // A store lets go of what is idle when it is used.
      await memory.append("another", 1, { kind: "turn_activity", activity: null });
    },
    cut: async () => undefined,
    close: () => memory.close(),
  };
  return withMembers(fixture, planted.fixture?.(fixture) ?? {});
}

/** One of several handles of a store in memory. */
class Handle implements LiveReplayStore {
  readonly #memory: () => LiveReplayStore;
  readonly #closing: Set<() => void> = new Set();
  #closed = false;

  constructor(memory: () => LiveReplayStore) {
    this.#memory = memory;
  }

  get name(): string {
    return this.#memory().name;
  }

  append: LiveReplayStore["append"] = async (...given) => this.#open().append(...given);
  replayAfter: LiveReplayStore["replayAfter"] = async (...given) => this.#open().replayAfter(...given);
  currentCursor: LiveReplayStore["currentCursor"] = async (...given) => this.#open().currentCursor(...given);
  trim: LiveReplayStore["trim"] = async (...given) => this.#open().trim(...given);

  subscribeAfter: LiveReplayStore["subscribeAfter"] = async (...given) => {
    const subscription = await this.#open().subscribeAfter(...given);
    if (subscription.kind === "gap") return subscription;
    return { kind: "subscribed", events: this.#closable(subscription.events) };
  };

  async close(): Promise<void> {
    this.#closed = true;
    for (const close of this.#closing) close();
    this.#closing.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #open(): LiveReplayStore {
    if (this.#closed) throw new LiveError("CLOSED", "Cannot use the handle: it was closed");
    return this.#memory();
  }

  #closable(events: AsyncIterableIterator<LiveEvent>): AsyncIterableIterator<LiveEvent> {
    let told = false;
    let fail: (error: LiveError) => void = () => undefined;
    const closing = new Promise<never>((_, reject) => (fail = reject));
    closing.catch(() => undefined);
    this.#closing.add(() => fail(new LiveError("CLOSED", "The handle was closed")));
    return {
      [Symbol.asyncIterator]() {
        return this;
      },
      next: async () => {
        if (told) return { done: true, value: undefined };
        try {
          return await Promise.race([closing, events.next()]);
        } catch (error) {
          told = error instanceof LiveError && error.code === "CLOSED";
          if (told) await events.return?.();
          throw error;
        }
      },
      return: async () => (await events.return?.()) ?? { done: true, value: undefined },
    };
  }
}
