import type { Delivery, Subscription } from "@tidemark/transport";

interface Waiter {
  resolve(result: IteratorResult<Delivery, undefined>): void;
  reject(reason: unknown): void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };
/** What a queue may hold besides its count of frames. */
const QUEUE_BYTES_MAX = 8 * 1024 * 1024;

/** What a {@link DeliveryQueue} tells whoever fills it. */
export interface QueueEvents {
  /** There is room again after there was none. */
  drained(): void;
  closed(): void;
}

/** The frames of one subscription that nobody has pulled yet. At the bound it has no room: frames stay where they are. */
export class DeliveryQueue implements Subscription {
  readonly #framesMax: number;
  readonly #events: QueueEvents;
  #deliveries: Delivery[] = [];
  #bytes: number = 0;
  #waiting: Waiter[] = [];
  #full: boolean = false;
  #closed: boolean = false;
  #failure: { readonly reason: unknown } | undefined;

  constructor(framesMax: number, events: QueueEvents) {
    this.#framesMax = framesMax;
    this.#events = events;
  }

  /** False from the bound on, until half of it was pulled. */
  get room(): boolean {
    return !this.#full;
  }

  /** Takes a frame that is its own. A read that was under way may go above the bound. */
  push(delivery: Delivery): void {
    if (this.#closed) return;
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) {
      waiter.resolve({ done: false, value: delivery });
      return;
    }
    this.#deliveries.push(delivery);
    this.#bytes += delivery.frame.length;
    if (this.#deliveries.length >= this.#framesMax || this.#bytes >= QUEUE_BYTES_MAX) this.#full = true;
  }

  next(): Promise<IteratorResult<Delivery, undefined>> {
    if (this.#failure !== undefined) {
      const { reason } = this.#failure;
      this.#failure = undefined;
      return Promise.reject(reason);
    }
    if (this.#closed) return Promise.resolve(DONE);
    const delivery = this.#deliveries.shift();
    if (delivery === undefined)
      return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
    this.#bytes -= delivery.frame.length;
    if (this.#full && this.#deliveries.length <= this.#framesMax / 2 && this.#bytes <= QUEUE_BYTES_MAX / 2) {
      this.#full = false;
      this.#events.drained();
    }
    return Promise.resolve({ done: false, value: delivery });
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
    this.#deliveries = [];
    this.#bytes = 0;
    for (const waiter of this.#waiting.splice(0)) settle(waiter);
    this.#events.closed();
  }
}
