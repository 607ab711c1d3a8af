import type { StreamClock } from "@tidemark/live";
import { createParser, type EventSourceMessage } from "eventsource-parser";
import { ChatError } from "./errors.ts";

/** UTF-16 units of an event: as long as the longest stream. */
const EVENT_LENGTH_MAX: number = 16 * 1024 * 1024;

/** Reads the events of one response. */
export class ChatEventReader {
  readonly #body: ReadableStreamDefaultReader<Uint8Array>;
  readonly #silenceMs: number;
  readonly #clock: StreamClock;
  readonly #decoder: InstanceType<typeof TextDecoder> = new TextDecoder();
  readonly #parser: ReturnType<typeof createParser>;
  #events: EventSourceMessage[] = [];
  #ended: boolean = false;

  constructor(
    response: Response,
    options: { readonly silenceMs: number; readonly clock: StreamClock; readonly signal: AbortSignal },
  ) {
    if (response.body === null)
      throw new ChatError("CHAT_REPLY_INVALID", "The response to a message has no body");
    this.#body = response.body.getReader();
    this.#silenceMs = options.silenceMs;
    this.#clock = options.clock;
    this.#parser = createParser({
      maxBufferSize: EVENT_LENGTH_MAX,
      onEvent: (event) => this.#events.push(event),
      onError({ type, message }) {
        if (type === "max-buffer-size-exceeded") throw new ChatError("CHAT_REPLY_INVALID", message);
      },
    });
    // The body of a response that did not come from the network knows nothing of the signal.
    options.signal.addEventListener("abort", () => void this.#body.cancel().catch(() => undefined), {
      once: true,
    });
  }

  /** The answer is over. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Says that the answer is over: no more is read. */
  end(): void {
    this.#ended = true;
    void this.#body.cancel().catch(() => undefined);
  }

  /** The events of the next bytes; `undefined` if the connection is closed. @throws what the body fails with, and when nothing comes. */
  async next(): Promise<readonly EventSourceMessage[] | undefined> {
    if (this.#ended) return [];
    const { done, value } = await this.#read();
    if (done) return undefined;
    this.#parser.feed(this.#decoder.decode(value, { stream: true }));
    const events = this.#events;
    this.#events = [];
    return events;
  }

  #read(): ReturnType<ReadableStreamDefaultReader<Uint8Array>["read"]> {
    return new Promise((resolve, reject) => {
      const callOff = this.#clock.schedule(this.#silenceMs, () => {
        void this.#body.cancel().catch(() => undefined);
        reject(new Error(`Nothing came for ${this.#silenceMs} ms, not even a heartbeat`));
      });
      this.#body.read().then(resolve, reject).finally(callOff);
    });
  }
}
