import { KvError } from "./errors.ts";

/** For backends whose calls go elsewhere and cannot be taken back: what a handle has under way, and whether it is closed. */
export class PendingCalls {
  readonly #pending = new Set<Promise<unknown>>();
  #closing: Promise<void> | undefined;

  /** What comes first in every call. @throws The reason of the signal, `KV_CLOSED` */
  guard(signal?: AbortSignal): void {
    signal?.throwIfAborted();
    if (this.#closing !== undefined) throw new KvError("KV_CLOSED", "Cannot use the store: it was closed");
  }

  /** Settles as the work does, or rejects with the reason of the signal, whichever is first: the work goes on. */
  run<T>(work: Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#pending.add(work);
    const done = (): void => void this.#pending.delete(work);
    work.then(done, done);
    if (signal === undefined) return work;
    return new Promise((resolve, reject) => {
      const abort = (): void => reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      if (signal.aborted) abort();
      work.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
    });
  }

  /** Refuses calls from now on, waits for those under way, then lets go of what they needed. Idempotent. */
  close(letGo: () => void | Promise<void>): Promise<void> {
    return (this.#closing ??= (async () => {
      await Promise.allSettled(this.#pending);
      await letGo();
    })());
  }
}
