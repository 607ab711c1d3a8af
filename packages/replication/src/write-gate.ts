import { ReplicationError } from "./errors.ts";

/** Lets writes of this region through, or holds all of them back while the state under them is replaced. */
export class WriteGate {
  #closed: boolean = false;
  #inside: number = 0;
  #emptied: (() => void) | undefined;

  get closed(): boolean {
    return this.#closed;
  }

  /** A write begins. @throws {@link ReplicationError} `NOT_READY` (retryable) while the gate is closed. */
  enter(): void {
    if (this.#closed) {
      throw new ReplicationError(
        "NOT_READY",
        "Cannot write now: the state of this region is being replaced",
        {
          retryable: true,
        },
      );
    }
    this.#inside += 1;
  }

  /** It has ended, one way or the other. */
  leave(): void {
    this.#inside -= 1;
    if (this.#inside === 0) this.#emptied?.();
  }

  /** Lets nobody in; resolves once nobody is inside. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#inside > 0) await new Promise<void>((resolve) => (this.#emptied = resolve));
    this.#emptied = undefined;
  }

  open(): void {
    this.#closed = false;
  }
}
