/** Deliveries after which publishers rest until the next turn of the event loop: half a default queue. */
const PUBLISH_DELIVERIES_MAX = 128;
/** Deliveries after which readers rest as well: reached only by a publisher that does not await. */
const READ_DELIVERIES_MAX = 256;

/**
 * Keeps a burst from starving the event loop. Deliveries without latency run on microtasks, and a loop of
 * those lets no I/O through; so after enough of them everybody rests until the next macrotask.
 */
export class Turns {
  readonly #defer: (run: () => void) => void;
  #published: number = 0;
  #read: number = 0;
  #waiting: (() => void)[] = [];

  constructor(defer: (run: () => void) => void) {
    this.#defer = defer;
  }

  /** Counts what a publisher caused; true if it should rest. */
  published(deliveries: number): boolean {
    this.#published += deliveries;
    return this.#published >= PUBLISH_DELIVERIES_MAX;
  }

  /** Counts a delivery to a reader; true if it has to wait for the next turn, and is then not counted. */
  mustWait(): boolean {
    if (this.#read >= READ_DELIVERIES_MAX) return true;
    this.#read += 1;
    return false;
  }

  /** Calls back in the next turn, in the order of the calls: so no reader is passed over twice. */
  next(run: () => void): void {
    this.#waiting.push(run);
    if (this.#waiting.length > 1) return;
    this.#defer(() => {
      this.#published = 0;
      this.#read = 0;
      for (const waiting of this.#waiting.splice(0)) waiting();
    });
  }
}
