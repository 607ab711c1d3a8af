import type { Delivery, Subscription } from "@tidemark/transport";
import type { Turns } from "./turns.ts";

interface Waiter {
  resolve(result: IteratorResult<Delivery, undefined>): void;
  reject(reason: unknown): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/**
 * The frames of one subscription that nobody has pulled yet, bounded: a reader that does not keep up
 * loses frames (counted) and slows nobody. What it lost is asked for again by the layer above.
 */
export class DeliveryQueue implements Subscription {
  readonly subject: string;
  /** Frames dropped because the queue was full. */
  droppedCount: number = 0;
  readonly #framesMax: number;
  readonly #turns: Turns;
  readonly #onClose: () => void;
  #frames: Uint8Array[] = [];
  #at: number = 0;
  #waiting: Waiter[] = [];
  #draining: boolean = false;
  #closed: boolean = false;
  #failure: { readonly reason: unknown } | undefined;

  constructor(subject: string, framesMax: number, turns: Turns, onClose: () => void) {
    this.subject = subject;
    this.#framesMax = framesMax;
    this.#turns = turns;
    this.#onClose = onClose;
  }

  /** Frames that wait to be pulled. */
  get queuedCount(): number {
    return this.#frames.length - this.#at;
  }

  /** Takes a copy of a frame; false if it dropped it, at the bound. */
  push(frame: Uint8Array): boolean {
    if (this.queuedCount >= this.#framesMax) {
      this.droppedCount += 1;
      return false;
    }
    // Not slice(): that of a Buffer is a view.
    this.#frames.push(new Uint8Array(frame));
    this.#drain();
    return true;
  }

  next(): Promise<IteratorResult<Delivery, undefined>> {
    if (this.#failure !== undefined) {
      const { reason } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(reason);
    }
    if (this.#closed) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#drain();
    });
  }

  close(): Promise<void> {
    this.#end((waiter) => waiter.resolve(DONE));
    return Promise.resolve();
  }

  /** Closes and lets the reader know why: the one that waits, or the next one. */
  fail(reason: unknown): void {
    if (this.#closed) return;
    if (this.#waiting.length === 0) this.#failure = { reason };
    this.#end((waiter) => waiter.reject(reason));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Delivery, undefined> {
    return {
      next: () => this.next(),
      return: async () => {
        await this.close();
        return DONE;
      },
    };
  }

  #end(settle: (waiter: Waiter) => void): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#frames = [];
    this.#at = 0;
    for (const waiter of this.#waiting.splice(0)) settle(waiter);
    this.#onClose();
  }

  #drain(): void {
    if (this.#draining) return;
    while (this.#waiting.length > 0 && this.queuedCount > 0) {
      if (this.#turns.mustWait()) {
        this.#draining = true;
        this.#turns.next(() => {
          this.#draining = false;
          this.#drain();
        });
        return;
      }
      const frame = this.#frames[this.#at++]!;
      if (this.#at === this.#frames.length) {
        this.#frames = [];
        this.#at = 0;
      }
      this.#waiting.shift()!.resolve({ done: false, value: { frame } });
    }
  }
}
