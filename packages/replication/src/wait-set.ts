import type { Timers } from "@tidemark/wal";

interface Wait {
  readonly met: () => boolean;
  settle(met: boolean): void;
  fail(reason: unknown): void;
}

/** How long a wait may take. */
export interface WaitOptions {
  readonly timeoutMs: number;
  /** Ends the waiting; what was waited for may still happen. */
  readonly signal?: AbortSignal;
}

/** Waits that end when something happened, a deadline passed, or they are aborted: nothing polls. */
export class WaitSet {
  readonly #timers: Timers;
  readonly #waits: Set<Wait> = new Set();

  constructor(timers: Timers) {
    this.#timers = timers;
  }

  get size(): number {
    return this.#waits.size;
  }

  /** Resolves true once `met` holds, false at the deadline; `met` is asked at once and at every {@link check}. */
  until(met: () => boolean, options: WaitOptions): Promise<boolean> {
    const { timeoutMs, signal } = options;
    if (signal?.aborted === true) return Promise.reject(signal.reason);
    if (met()) return Promise.resolve(true);
    if (timeoutMs <= 0) return Promise.resolve(false);
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#waits.delete(wait);
        cancel();
        signal?.removeEventListener("abort", abort);
      };
      const wait: Wait = {
        met,
        settle: (result) => {
          end();
          resolve(result);
        },
        fail: (reason) => {
          end();
          reject(reason);
        },
      };
      const abort = (): void => wait.fail(signal?.reason);
      const cancel = Number.isFinite(timeoutMs)
        ? this.#timers.setTimer(timeoutMs, () => wait.settle(false))
        : (): void => {};
      signal?.addEventListener("abort", abort);
      this.#waits.add(wait);
    });
  }

  /** Something happened: settles what is met now. */
  check(): void {
    for (const wait of this.#waits) if (wait.met()) wait.settle(true);
  }

  /** Rejects everything that still waits. */
  fail(reason: unknown): void {
    for (const wait of this.#waits) wait.fail(reason);
  }
}
