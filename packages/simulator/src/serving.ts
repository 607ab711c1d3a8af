import { TransportError } from "@tidemark/transport";
import type { RequestHandler, Service } from "@tidemark/transport";

/** What a handler came to: its answer, or why there is none. */
export type Outcome = Uint8Array | TransportError;

/** One handler on one subject. */
export class Serving implements Service {
  readonly subject: string;
  readonly #handler: RequestHandler;
  readonly #frameBytesMax: number;
  readonly #onClose: () => void;
  readonly #closing: AbortController = new AbortController();
  readonly #running: Set<(outcome: Outcome) => void> = new Set();

  constructor(subject: string, handler: RequestHandler, frameBytesMax: number, onClose: () => void) {
    this.subject = subject;
    this.#handler = handler;
    this.#frameBytesMax = frameBytesMax;
    this.#onClose = onClose;
  }

  /** Handlers that have not answered yet. */
  get runningCount(): number {
    return this.#running.size;
  }

  /** Runs the handler on a copy of the frame; `reply` is called at most once. */
  answer(frame: Uint8Array, reply: (outcome: Outcome) => void): void {
    const finish = (outcome: Outcome): void => {
      if (this.#running.delete(finish)) reply(outcome);
    };
    this.#running.add(finish);
    void this.#run(new Uint8Array(frame)).then(finish);
  }

  close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#onClose();
      this.#closing.abort(this.#gone());
      for (const finish of [...this.#running]) finish(this.#gone());
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Never rejects. */
  async #run(frame: Uint8Array): Promise<Outcome> {
    await Promise.resolve();
    const { signal } = this.#closing;
    if (signal.aborted) return this.#gone();
    try {
      const answer = await this.#handler(frame, { signal });
      if (answer.length <= this.#frameBytesMax) return new Uint8Array(answer);
      return new TransportError(
        "FRAME_TOO_LARGE",
        `Cannot carry an answer of ${answer.length} bytes on ${this.subject}: the limit is ${this.#frameBytesMax}`,
      );
    } catch {
      // What the handler threw stays in its own process.
      return new TransportError("NO_RESPONDER", `The handler of ${this.subject} failed`);
    }
  }

  #gone(): TransportError {
    return new TransportError("NO_RESPONDER", `Nobody serves ${this.subject} any more`);
  }
}
