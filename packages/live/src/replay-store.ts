import type { LiveCursor } from "./live-cursor.ts";
import type { LiveEvent, LiveGap, LivePayload } from "./live-event.ts";

/** The events behind a cursor, or that there is a gap. An empty list says that nothing was missed. */
export type LiveReplay =
  | { readonly kind: "replayed"; readonly events: readonly LiveEvent[] }
  | { readonly kind: "gap"; readonly gap: LiveGap };

/** The events of a subscription. */
export interface LiveEvents extends AsyncIterableIterator<LiveEvent> {
  /**
   * All that is there to be read, at least one event and at most 256, waiting for it if there is none; `undefined` at the
   * end. Rejects as `next()` does. For who hands events to very many readers: one promise serves a burst. Only where the
   * store has it, as the one in memory does; the events are not to be changed.
   */
  nextBatch?(): Promise<readonly LiveEvent[] | undefined>;
}

/** A subscription behind a cursor, or that there is a gap. */
export type LiveSubscription =
  | {
      readonly kind: "subscribed";
      /**
       * The replay first, then what is appended, each event once and in order. Leaving a loop over it, `return()`, and the
       * signal end it and release what it holds.
       *
       * `next()` rejects with `SUBSCRIBER_LAGGED` and the exact number missed when the reader is behind what is held; the
       * next call goes on with the oldest event held. A loop that such an error has left does not end the subscription: go
       * on with another, or call `return()`. `CLOSED`, once, ends it: the store was closed; so does `STORE_UNAVAILABLE`: its
       * medium lost the buffer, and subscribing again behind the last event is answered with a gap.
       */
      readonly events: LiveEvents;
    }
  | { readonly kind: "gap"; readonly gap: LiveGap };

/** Options of {@link LiveReplayStore.append} and {@link LiveReplayStore.currentCursor}. */
export interface LivePositionOptions {
  /** The session cursor that the cursor is to carry; see {@link LiveCursor.committed}. @defaultValue none */
  readonly committed?: string;
}

/** Options of {@link LiveReplayStore.subscribeAfter}. */
export interface LiveSubscribeOptions {
  /** Ends the subscription: its iterator is done. */
  readonly signal?: AbortSignal;
}

/**
 * Keeps the latest events of each session for readers that come back, and hands on those that come.
 *
 * A buffer holds the events of one session, numbered from 1 without holes. `t` is its last number (0 if it never had an
 * event), `f` the first one that is still held, `p` that of the cursor:
 *
 * | buffer                              | cursor      | answer                         |
 * | :---------------------------------- | :---------- | :----------------------------- |
 * | of another incarnation              | any         | gap `unavailable`              |
 * | none                                | `p = 0`     | replayed, empty                |
 * | none                                | `p > 0`     | gap `unavailable`              |
 * | any                                 | `p > t`     | gap `unavailable`              |
 * | nothing held                        | `p = t`     | replayed, empty                |
 * | nothing held                        | `p < t`     | gap `trimmed`                  |
 * | something held                      | `p + 1 < f` | gap `trimmed`                  |
 * | something held                      | `p + 1 >= f` | replayed, empty when `p = t`  |
 *
 * The session is read from the cursor, and its revision is not looked at: that is the caller's part. Nothing here need
 * outlive the process. All calls are made from code that must not wait: a slow medium queues, within bounds.
 */
export interface LiveReplayStore extends AsyncDisposable {
  /** Of the kind of store, for messages and metrics. */
  readonly name: string;
  /**
   * Appends an event and hands it to who is subscribed; nobody need be. Calls of one store for one session take effect in
   * the order they are made in.
   *
   * @returns The event, whose cursor carries its own position.
   * @throws {@link LiveError} `CLOSED`, `STORE_UNAVAILABLE` (it may have been appended), `EVENT_TOO_LARGE` (it was not).
   */
  append(
    session: string,
    revision: number,
    payload: LivePayload,
    options?: LivePositionOptions,
  ): Promise<LiveEvent>;
  /** The events held with a position above the cursor's. @throws {@link LiveError} `CLOSED`, `STORE_UNAVAILABLE`. */
  replayAfter(cursor: LiveCursor): Promise<LiveReplay>;
  /**
   * The same replay, then live events, with none missing and none repeated in between. Makes the buffer of a session that
   * has none.
   *
   * @throws {@link LiveError} `CLOSED`, `STORE_UNAVAILABLE`; the signal's reason if it was aborted before.
   */
  subscribeAfter(cursor: LiveCursor, options?: LiveSubscribeOptions): Promise<LiveSubscription>;
  /**
   * The cursor behind the last event of a session, carrying the revision given. Neither makes a buffer nor trims one.
   *
   * @throws {@link LiveError} `CLOSED`, `STORE_UNAVAILABLE`.
   */
  currentCursor(session: string, revision: number, options?: LivePositionOptions): Promise<LiveCursor>;
  /** Drops what is beyond the bounds of the store; positions stay. A session without a buffer is no error. */
  trim(session: string): Promise<void>;
  /** Ends every subscription with `CLOSED`, and lets go of everything. Idempotent. */
  close(): Promise<void>;
}
