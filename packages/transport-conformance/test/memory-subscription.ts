import type { Delivery, Subscription } from "@tidemark/transport";

type Result = IteratorResult<Delivery, undefined>;

/** A queue without a bound, read by one iterator. */
export class MemorySubscription implements Subscription {
  readonly subject: string;
  readonly #onEnd: () => void;
  readonly #queue: Delivery[] = [];
  #waiting: { resolve: (result: Result) => void; reject: (reason: unknown) => void }[] = [];
  #ended: boolean = false;

  constructor(subject: string, onEnd: () => void) {
    this.subject = subject;
    this.#onEnd = onEnd;
  }

  push(delivery: Delivery): void {
    const waiter = this.#waiting.shift();
    if (waiter === undefined) this.#queue.push(delivery);
    else waiter.resolve({ done: false, value: delivery });
  }

  end(failure?: { readonly reason: unknown }): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#queue.length = 0;
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (failure === undefined) resolve({ done: true, value: undefined });
      else reject(failure.reason);
    }
    this.#onEnd();
  }

  async close(): Promise<void> {
    this.end();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.asyncIterator](): AsyncIterator<Delivery, undefined> {
    return {
      next: () => {
        const delivery = this.#queue.shift();
        if (delivery !== undefined) return Promise.resolve({ done: false, value: delivery });
        if (this.#ended) return Promise.resolve({ done: true, value: undefined });
        return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
      },
      return: async () => {
        this.end();
        return { done: true, value: undefined };
      },
    };
  }
}
