import type { Delivery, Subscription } from "@tidemark/transport";

/**
 * The frames of one subscription that nobody has pulled yet, bounded: a subscriber that does not keep up
 * loses frames (counted), and slows nobody. What it lost is asked for again by the layer above.
 */
export class DeliveryQueue implements Subscription {
  /** Frames dropped because the queue was full. */
  dropped: number = 0;
  readonly #framesMax: number;
  readonly #onClose: () => void;
  #frames: Delivery[] = [];
  #at: number = 0;
  #waiting: ((result: IteratorResult<Delivery>) => void)[] = [];
  #closed: boolean = false;

  constructor(framesMax: number, onClose: () => void) {
    this.#framesMax = framesMax;
    this.#onClose = onClose;
  }

  /** Hands a frame over; false if it was dropped. */
  push(delivery: Delivery): boolean {
    if (this.#closed) return false;
    const waiter = this.#waiting.shift();
    if (waiter !== undefined) {
      waiter({ done: false, value: delivery });
      return true;
    }
    if (this.#frames.length - this.#at >= this.#framesMax) {
      this.dropped += 1;
      return false;
    }
    this.#frames.push(delivery);
    return true;
  }

  next(): Promise<IteratorResult<Delivery>> {
    const delivery = this.#frames[this.#at];
    if (delivery !== undefined) {
      this.#at += 1;
      if (this.#at === this.#frames.length) {
        this.#frames = [];
        this.#at = 0;
      }
      return Promise.resolve({ done: false, value: delivery });
    }
    if (this.#closed) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.#frames = [];
      this.#at = 0;
      for (const waiter of this.#waiting.splice(0)) waiter({ done: true, value: undefined });
      this.#onClose();
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Delivery> {
    return {
      next: () => this.next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }
}
