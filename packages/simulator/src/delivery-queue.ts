import type { Delivery, Subscription } from "@tidemark/transport";

interface Waiter {
  resolve(result: IteratorResult<Delivery, undefined>): void;
  reject(reason: unknown): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

/** The frames of one subscription that nobody has pulled yet, bounded. */
export class DeliveryQueue implements Subscription {
  readonly #framesMax: number;
  readonly #onClose: () => void;
  /** Called when half of the queue has been pulled. */
  onRoom: (() => void) | undefined;
  readonly #frames: Delivery[] = [];
  #waiting: Waiter[] = [];
  #closed: boolean = false;
  #failure: { readonly reason: unknown } | undefined;

  constructor(framesMax: number, onClose: () => void) {
    this.#framesMax = framesMax;
    this.#onClose = onClose;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Takes a frame, which is the reader's own; false if there is no room. */
  push(delivery: Delivery): boolean {
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: delivery });
      return true;
    }
    if (this.#frames.length >= this.#framesMax) return false;
    this.#frames.push(delivery);
    return true;
  }

  next(): Promise<IteratorResult<Delivery, undefined>> {
    if (this.#failure !== undefined) {
      const { reason } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(reason);
    }
    if (this.#closed) return Promise.resolve(DONE);
    const delivery = this.#frames.shift();
    if (this.#frames.length * 2 <= this.#framesMax) this.onRoom?.();
    if (delivery !== undefined) return Promise.resolve({ done: false, value: delivery });
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
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
    this.onRoom = undefined;
    this.#frames.length = 0;
    for (const waiter of this.#waiting.splice(0)) settle(waiter);
    this.#onClose();
  }
}
