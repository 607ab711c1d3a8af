import type { LiveCursor, LiveItem } from "@tidemark/live";
import { formatItem, type SessionFrame, type WriteCursor } from "./session-frame.ts";
import { formatSseComment, formatSseEvent, formatSseRetry } from "./sse-event.ts";
import type { SetTimer } from "./platform.ts";

/** Bytes that wait for a client which does not read, beside the item that is next. */
const WAITING_BYTES_MAX = 16 * 1024;

/** What a {@link sessionStream} needs. */
export interface SessionStreamOptions {
  /** Asked for the next one only once there is room for it. */
  readonly items: AsyncIterator<LiveItem<unknown>>;
  /** The first item, where it has been asked for. */
  readonly first?: Promise<IteratorResult<LiveItem<unknown>>>;
  readonly writeCursor: WriteCursor;
  /** Where the client stands; without it the first item says. */
  readonly after?: LiveCursor;
  /** Whether nothing will come any more behind a cursor. Asked when a turn may have ended, and with each heartbeat. */
  readonly finished: (cursor: LiveCursor) => Promise<boolean>;
  /** Silence after which a comment is sent. */
  readonly heartbeatMs: number;
  /** How long a client may leave unread what waits for it. */
  readonly unreadMsMax: number;
  /** When a plain `EventSource` is to come back after the stream has ended. */
  readonly retryMs: number;
  /** How long the stream lasts; then the client comes back, and is asked again who it is. */
  readonly streamMsMax: number;
  readonly setTimer: SetTimer;
  /** Each ends the stream in good order. */
  readonly signals: readonly AbortSignal[];
  /** Told of what nobody expected. The answer is what the client is told. */
  readonly failed: (error: unknown) => { readonly code: string; readonly message: string };
  /** Called once, when nothing will be asked for any more. */
  readonly onEnd: () => void;
}

/**
 * The items of a watch as bytes of server-sent events.
 *
 * Nothing is asked for while the client does not read: what it misses meanwhile the watch tells it as a gap.
 */
export function sessionStream(options: SessionStreamOptions): ReadableStream<Uint8Array> {
  return new ReadableStream(
    new SessionSource(options),
    new ByteLengthQueuingStrategy({ highWaterMark: WAITING_BYTES_MAX }),
  );
}

/** What became of waiting for an item. */
type Outcome =
  | { readonly kind: "item"; readonly result: IteratorResult<LiveItem<unknown>> }
  | { readonly kind: "error"; readonly error: unknown }
  | { readonly kind: "silence" }
  | { readonly kind: "over" };

const utf8 = new TextEncoder();

class SessionSource {
  readonly #options: SessionStreamOptions;
  readonly #over: () => void;
  readonly #cancelLife: () => void;
  #asked: Promise<Outcome> | undefined;
  #seen: LiveCursor | undefined;
  #isOver = false;
  #ended = false;
  #wake: (() => void) | undefined;
  #cancelUnread: (() => void) | undefined;

  constructor(options: SessionStreamOptions) {
    this.#options = options;
    this.#seen = options.after;
    if (options.first !== undefined) this.#asked = outcomeOf(options.first);
    this.#over = () => {
      this.#isOver = true;
      this.#wake?.();
    };
    this.#cancelLife = options.setTimer(options.streamMsMax, this.#over);
    for (const signal of options.signals) {
      signal.addEventListener("abort", this.#over, { once: true });
      if (signal.aborted) this.#over();
    }
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    // Something comes at once, also where nothing happens: a client knows then that it is connected.
    controller.enqueue(utf8.encode(formatSseRetry(this.#options.retryMs)));
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#cancelUnread?.();
    const { text, last } = await this.#next();
    if (this.#ended) return;
    if (text !== "") controller.enqueue(utf8.encode(text));
    if (last) {
      this.#end();
      controller.close();
      return;
    }
    this.#cancelUnread = this.#options.setTimer(this.#options.unreadMsMax, () => {
      this.#end();
      controller.error(new Error("The client did not read"));
    });
  }

  cancel(): void {
    this.#end();
  }

  /** The next piece of text, and whether it is the last. */
  async #next(): Promise<{ readonly text: string; readonly last: boolean }> {
    const outcome = await this.#outcome();
    switch (outcome.kind) {
      case "over":
        return { text: "", last: true };
      case "silence":
        return { text: formatSseComment("alive"), last: await this.#isFinished() };
      case "error":
        return this.#failure(outcome.error);
      case "item": {
        if (outcome.result.done === true) return { text: "", last: true };
        const item = outcome.result.value;
        let frame: SessionFrame;
        try {
          frame = await formatItem(item, this.#options.writeCursor);
        } catch (error) {
          return this.#failure(error);
        }
        this.#seen = frame.cursor;
        return { text: frame.text, last: mayBeLast(item) && (await this.#isFinished()) };
      }
    }
  }

  /** Tells a client that has its answer already that the stream failed. It may come back. */
  #failure(error: unknown): { readonly text: string; readonly last: boolean } {
    const data = JSON.stringify(this.#options.failed(error));
    return { text: formatSseEvent({ event: "failed", data }), last: true };
  }

  #outcome(): Promise<Outcome> {
    if (this.#isOver) return Promise.resolve({ kind: "over" });
    this.#asked ??= outcomeOf(this.#options.items.next());
    const asked = this.#asked;
    return new Promise((resolve) => {
      let waits = true;
      const settle = (outcome: Outcome): void => {
        if (!waits) return;
        waits = false;
        cancel();
        this.#wake = undefined;
        resolve(outcome);
      };
      const cancel = this.#options.setTimer(this.#options.heartbeatMs, () => settle({ kind: "silence" }));
      this.#wake = () => settle({ kind: "over" });
      void asked.then((outcome) => {
        // One that came too late for this is there for who asks next.
        if (waits) this.#asked = undefined;
        settle(outcome);
      });
    });
  }

  async #isFinished(): Promise<boolean> {
    if (this.#seen === undefined) return false;
    // A look that fails is made again with the next heartbeat.
    return this.#options.finished(this.#seen).catch(() => false);
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelUnread?.();
    this.#cancelLife();
    for (const signal of this.#options.signals) signal.removeEventListener("abort", this.#over);
    this.#over();
    this.#options.onEnd();
  }
}

/** Whether a session may be over behind an item. */
function mayBeLast(item: LiveItem<unknown>): boolean {
  if (item.kind !== "event") return true;
  const { payload } = item.event;
  return payload.kind === "committed" || (payload.kind === "turn_state" && TERMINAL.has(payload.state));
}

const TERMINAL: ReadonlySet<string> = new Set(["done", "error", "cancelled", "orphaned"]);

function outcomeOf(next: Promise<IteratorResult<LiveItem<unknown>>>): Promise<Outcome> {
  return next.then(
    (result) => ({ kind: "item", result }),
    (error: unknown) => ({ kind: "error", error }),
  );
}
