import { headers } from "@nats-io/nats-core";
import type { Msg, NatsConnection } from "@nats-io/nats-core";
import type { RequestHandler, Service } from "@tidemark/transport";
import { Assembler, headersOf, partsOf } from "./parts.ts";

/** Says why there is no answer. */
export const REFUSED = "Tidemark-Refused";
/** Handlers that run at a time; what is above waits for its deadline. */
const RUNNING_MAX = 256;

/** One handler on one subject, over core NATS. */
export class Serving implements Service {
  readonly #asked: string;
  readonly #handler: RequestHandler;
  readonly #frameBytesMax: number;
  readonly #onClose: () => void;
  readonly #closing: AbortController = new AbortController();
  readonly #assembler: Assembler;
  #leave: (() => void) | undefined;
  #running: number = 0;

  constructor(asked: string, handler: RequestHandler, frameBytesMax: number, onClose: () => void) {
    this.#asked = asked;
    this.#handler = handler;
    this.#frameBytesMax = frameBytesMax;
    this.#onClose = onClose;
    this.#assembler = new Assembler(frameBytesMax);
  }

  attach(connection: NatsConnection): void {
    const subscription = connection.subscribe(this.#asked, {
      callback: (error, message) => {
        if (error === null) void this.#answer(connection, message);
      },
    });
    this.#leave = () => {
      if (!connection.isClosed()) subscription.unsubscribe();
    };
  }

  close(): Promise<void> {
    if (!this.#closing.signal.aborted) {
      this.#closing.abort();
      this.#leave?.();
      this.#onClose();
    }
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Never rejects: what a handler throws stays in its own process. */
  async #answer(connection: NatsConnection, message: Msg): Promise<void> {
    const { signal } = this.#closing;
    const { reply } = message;
    if (signal.aborted || reply === undefined || reply === "") return;
    const frame = this.#assembler.add(message);
    if (frame === undefined || this.#running >= RUNNING_MAX) return;
    this.#running += 1;
    try {
      const answer = await this.#handler(frame, { signal });
      if (signal.aborted || connection.isClosed()) return;
      if (answer.length > this.#frameBytesMax) {
        refuse(connection, reply, "FRAME_TOO_LARGE");
        return;
      }
      // A copy: the client sends later, and the handler may write to its own.
      for (const part of partsOf(new Uint8Array(answer), connection.info?.max_payload ?? answer.length)) {
        const made = headersOf(part, reply);
        connection.publish(reply, part.bytes, made === undefined ? {} : { headers: made });
      }
    } catch {
      if (!signal.aborted && !connection.isClosed()) refuse(connection, reply, "NO_RESPONDER");
    } finally {
      this.#running -= 1;
    }
  }
}

function refuse(connection: NatsConnection, reply: string, code: string): void {
  const made = headers();
  made.set(REFUSED, code);
  connection.publish(reply, new Uint8Array(0), { headers: made });
}
