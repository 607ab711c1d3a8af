import type { Kv, Partition } from "@tidemark/kv";
import type { SetTimer } from "../platform.ts";
import { StreamRefusal } from "./stream-refusal.ts";
import { streamKeys } from "./stream-rows.ts";

/** What {@link StreamWaits} takes. */
export interface StreamWaitsOptions {
  readonly kv: Kv;
  readonly partition: (path: string) => Partition;
  readonly setTimer: SetTimer;
  /** How often a stream is looked at whose store has no watch. */
  readonly pollMs: number;
  readonly waitersMax: number;
}

/** How a wait ended: the stream may have changed, nothing happened for so long, or the reader is to go. */
export type WaitResult = "changed" | "idle" | "ended";

/** A reader that waits for a stream. */
export interface StreamWait {
  /** Resolves at once if the stream may have changed since the last call, or since the wait began. */
  changed(withinMs: number): Promise<WaitResult>;
  close(): void;
}

/** The readers of one stream, woken together. */
class Hub {
  /** Grows with each change. */
  version = 0;
  readonly wakers = new Set<() => void>();
  waiters = 0;
  readonly stop = new AbortController();

  ring(): void {
    this.version += 1;
    for (const wake of this.wakers) wake();
  }
}

/** Who waits for which stream. A stream is watched for as long as somebody waits, once for all of them. */
export class StreamWaits {
  readonly #options: StreamWaitsOptions;
  readonly #hubs = new Map<string, Hub>();
  #count = 0;

  constructor(options: StreamWaitsOptions) {
    this.#options = options;
  }

  /** How many readers wait. */
  get count(): number {
    return this.#count;
  }

  /** Wakes who waits for a stream that this process has changed. */
  ring(path: string): void {
    this.#hubs.get(path)?.ring();
  }

  /**
   * Begins to wait: whoever reads the stream afterwards, and then asks whether it has changed, misses nothing.
   *
   * @param forMs - After that, or after the signal, the wait has ended and holds nothing.
   * @throws StreamRefusal `TOO_MANY`.
   */
  begin(path: string, forMs: number, signal: AbortSignal): StreamWait {
    const { setTimer, waitersMax } = this.#options;
    if (this.#count >= waitersMax) {
      throw new StreamRefusal("TOO_MANY", `${waitersMax} readers wait already`, { "retry-after": "1" });
    }
    const hub = this.#enter(path);
    let seen = hub.version;
    let ended = false;
    let wake = (): void => {};
    const close = (): void => {
      if (ended) return;
      ended = true;
      cancel();
      signal.removeEventListener("abort", close);
      this.#leave(path, hub);
      wake();
    };
    const cancel = setTimer(forMs, close);
    signal.addEventListener("abort", close);
    if (signal.aborted) close();
    return {
      close,
      async changed(withinMs) {
        let idle = false;
        if (!ended && seen === hub.version) {
          await new Promise<void>((resolve) => {
            const cancelIdle = setTimer(withinMs, () => {
              idle = true;
              wake();
            });
            wake = () => {
              cancelIdle();
              hub.wakers.delete(wake);
              resolve();
            };
            hub.wakers.add(wake);
          });
        }
        if (ended) return "ended";
        if (seen === hub.version && idle) return "idle";
        seen = hub.version;
        return "changed";
      },
    };
  }

  #enter(path: string): Hub {
    let hub = this.#hubs.get(path);
    if (hub === undefined) {
      hub = new Hub();
      this.#hubs.set(path, hub);
      void this.#follow(path, hub);
    }
    hub.waiters += 1;
    this.#count += 1;
    return hub;
  }

  #leave(path: string, hub: Hub): void {
    this.#count -= 1;
    hub.waiters -= 1;
    if (hub.waiters > 0) return;
    this.#hubs.delete(path);
    hub.stop.abort();
  }

  /** Rings for changes of other processes. A watch that fails is begun anew, and readers look for themselves meanwhile. */
  async #follow(path: string, hub: Hub): Promise<void> {
    const { kv, partition } = this.#options;
    const { signal } = hub.stop;
    const look = lookAt(kv, partition(path));
    while (!signal.aborted) {
      let changed = true;
      try {
        if (kv.watch === undefined) changed = await look();
        else for await (const _ of kv.watch(partition(path), streamKeys.register, { signal })) hub.ring();
      } catch {
        // The store does not answer: who reads will hear why.
      }
      if (changed) hub.ring();
      if (!signal.aborted) await this.#pause(signal);
    }
  }

  #pause(signal: AbortSignal): Promise<void> {
    const { setTimer, pollMs } = this.#options;
    return new Promise((resolve) => {
      const cancel = setTimer(pollMs, done);
      function done(): void {
        cancel();
        signal.removeEventListener("abort", done);
        resolve();
      }
      signal.addEventListener("abort", done);
    });
  }
}

/** Says whether the register is another than when it was last asked, once for all who wait for the stream. */
function lookAt(kv: Kv, partition: Partition): () => Promise<boolean> {
  let last: string | undefined;
  return async () => {
    const [stored] = await kv.get(partition, [streamKeys.register]);
    const current = stored?.join() ?? "";
    const changed = current !== last;
    last = current;
    return changed;
  };
}
