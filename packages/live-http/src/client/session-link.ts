import { LiveHttpError } from "../errors.ts";
import type { SetTimer } from "../platform.ts";
import { errorOf, LinkLostError } from "./refused.ts";
import { readSseEvents } from "./sse-reader.ts";
import { decodeItem, type WatchedItem } from "./watched-item.ts";
import { below, requestInit, type Fetch, type SessionTarget } from "./watch-options.ts";

/** What a {@link SessionLink} needs. */
export interface SessionLinkOptions {
  readonly target: SessionTarget;
  readonly url: URL;
  readonly after: string | undefined;
  readonly fetch: Fetch;
  readonly silenceMsMax: number;
  readonly setTimer: SetTimer;
  /** Called once the server has begun to answer. */
  readonly onOpen: () => void;
}

/** One request for the events of a session, until it ends. */
export class SessionLink {
  readonly #options: SessionLinkOptions;
  readonly #gone = new AbortController();
  #cancelSilence: () => void = () => undefined;
  #finished = false;

  constructor(options: SessionLinkOptions) {
    this.#options = options;
  }

  /** Whether the server said that nothing will come any more. */
  get finished(): boolean {
    return this.#finished;
  }

  /** Gives the link up: {@link SessionLink.items} ends. */
  close(): void {
    this.#gone.abort();
  }

  /**
   * The items in order. Ends where the server ends it.
   *
   * @throws {@link LinkLostError} if it broke or was never there; {@link LiveHttpError} `REFUSED`, `SSE_MALFORMED`.
   */
  async *items<View, Activity>(): AsyncGenerator<WatchedItem<View, Activity>, void, undefined> {
    try {
      const body = await this.#open();
      if (body === undefined) return;
      this.#options.onOpen();
      const events = readSseEvents(body, {
        onTraffic: () => this.#listen(),
        signal: this.#gone.signal,
      });
      try {
        for (;;) {
          // Only while it is waited: a reader that takes its time is no silence.
          this.#listen();
          const { done, value } = await events.next();
          this.#cancelSilence();
          if (done === true) return;
          // A stream that failed on the other side says so, and is tried again.
          if (value.event === "failed")
            throw new LinkLostError(`The server failed: ${value.data.slice(0, 200)}`);
          const item = decodeItem<View, Activity>(value);
          if (item !== undefined) yield item;
        }
      } finally {
        await events.return();
      }
    } catch (error) {
      if (error instanceof LiveHttpError || error instanceof LinkLostError) throw error;
      throw new LinkLostError("The link was lost", { cause: error });
    } finally {
      this.#cancelSilence();
      this.close();
    }
  }

  /** The body of the answer; nothing where there is nothing more to come. */
  async #open(): Promise<ReadableStream<Uint8Array> | undefined> {
    const { target, url, after, fetch } = this.#options;
    const address = below(url, "events");
    // In the address, not as `Last-Event-ID`: for that header a browser would ask each time whether it may.
    if (after !== undefined) address.searchParams.set("after", after);
    const init = await requestInit(target, this.#gone.signal);
    this.#listen();
    const response = await fetch(address.href, {
      ...init,
      headers: { ...init.headers, accept: "text/event-stream" },
    });
    if (response.status === 204) {
      this.#finished = true;
      return undefined;
    }
    const type = response.headers.get("content-type") ?? "";
    if (response.status !== 200) throw await errorOf(response);
    if (!type.startsWith("text/event-stream") || response.body === null) {
      await response.body?.cancel();
      throw new LinkLostError(`Something else answered: ${type}`);
    }
    return response.body;
  }

  #listen(): void {
    this.#cancelSilence();
    const { setTimer, silenceMsMax } = this.#options;
    this.#cancelSilence = setTimer(silenceMsMax, () =>
      this.#gone.abort(new Error(`Nothing came for ${silenceMsMax} ms`)),
    );
  }
}
