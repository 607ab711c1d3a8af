import { createInbox } from "@nats-io/nats-core";
import type { Msg, NatsConnection } from "@nats-io/nats-core";

/** What is waited for on an {@link Inbox}. */
export interface Expected {
  /** Where the answer is to be sent. */
  readonly reply: string;
  /** Hears no more. */
  forget(): void;
}

/** One subscription for all acknowledgements and answers: a publish costs a map entry, no request object and no timer. */
export class Inbox {
  readonly #base: string;
  readonly #hearing: Map<string, (message: Msg) => void> = new Map();
  #count: number = 0;

  constructor(prefix: string) {
    this.#base = createInbox(prefix);
  }

  /** @returns how to leave. */
  attach(connection: NatsConnection): () => void {
    const subscription = connection.subscribe(`${this.#base}.*`, {
      callback: (error, message) => {
        if (error === null) this.#hearing.get(message.subject.slice(this.#base.length + 1))?.(message);
      },
    });
    return () => subscription.unsubscribe();
  }

  expect(hear: (message: Msg) => void): Expected {
    const token = (this.#count++).toString(36);
    this.#hearing.set(token, hear);
    return { reply: `${this.#base}.${token}`, forget: () => void this.#hearing.delete(token) };
  }
}

/** Nobody listens where it was sent: the broker says so itself. */
export function nobodyListens(message: Msg): boolean {
  return message.headers?.code === 503 && message.data.length === 0;
}
