import { type Kv, KvError } from "@tidemark/kv";

/** Between two questions whether a store that went away is back. */
const PROBE_EVERY_MS = 1_000;

/** What a {@link ConnectionWatch} takes. */
export interface ConnectionWatchOptions {
  readonly kv: Kv;
  /** Is told when the store no longer answers, and when it does again. */
  readonly changed: (connected: boolean) => void;
  /** Calls `run` once after `ms` milliseconds, unless the returned function is called before. */
  readonly setTimer: (ms: number, run: () => void) => () => void;
}

/**
 * Notices that a store does not answer: a call that failed as `KV_UNAVAILABLE` is followed by a question for the time,
 * and that by one a second until the store answers, since those who were told that it is away no longer call it.
 */
export class ConnectionWatch {
  readonly #options: ConnectionWatchOptions;
  #connected: boolean = true;
  #probing: Promise<void> | undefined;
  #cancel: (() => void) | undefined;
  #closed: boolean = false;

  constructor(options: ConnectionWatchOptions) {
    this.#options = options;
  }

  /** Passes on how a call ends, and takes note. */
  async watch<Result>(call: Promise<Result>): Promise<Result> {
    try {
      return await call;
    } catch (error) {
      if (error instanceof KvError && error.code === "KV_UNAVAILABLE") this.#probe();
      throw error;
    }
  }

  /** Asks no more. Resolves once nothing is left running. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#probing;
  }

  #probe(): void {
    if (this.#probing !== undefined || this.#cancel !== undefined || this.#closed) return;
    this.#probing = this.#ask().finally(() => (this.#probing = undefined));
  }

  async #ask(): Promise<void> {
    const { kv, changed, setTimer } = this.#options;
    let connected = true;
    try {
      await kv.nowMs();
    } catch {
      connected = false;
    }
    if (this.#closed) return;
    if (connected !== this.#connected) {
      this.#connected = connected;
      changed(connected);
    }
    if (connected) return;
    this.#cancel = setTimer(PROBE_EVERY_MS, () => {
      this.#cancel = undefined;
      this.#probe();
    });
  }
}

/** A timer of the platform that keeps no process alive. */
export function setIdleTimer(ms: number, run: () => void): () => void {
  const timer = globalThis.setTimeout(run, ms);
  timer.unref();
  return () => globalThis.clearTimeout(timer);
}
