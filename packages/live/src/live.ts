import type { LiveCursor } from "./live-cursor.ts";
import type { LiveEvent, LiveGap, LivePayload, TurnState } from "./live-event.ts";

/** The durable state of a session at one moment. */
export interface LiveHead<View> {
  /** Of the last commit; before any commit, the turn index. It only grows. */
  readonly revision: number;
  readonly view: View;
  /** The agent frame that is current, where there are such. */
  readonly frame?: string;
  /** The session cursor of this state, which every region honours; only with {@link LiveSource.committedAfter}. */
  readonly committed?: string;
}

/** A commit, as a source tells of it. */
export interface LiveCommit<View> extends LiveHead<View> {
  /** The session cursor behind this commit and those given before it. */
  readonly committed: string;
}

/** How commits are read. */
export interface CommittedAfterOptions {
  /** Ends the reading. */
  readonly signal: AbortSignal;
  /** `false`: only what is committed when this is called. @defaultValue true */
  readonly follow?: boolean;
}

/** Where the durable state of sessions is: a region, a session store, or your own. */
export interface LiveSource<View> {
  /** The durable head of a session. */
  observe(session: string): Promise<LiveHead<View>>;
  /** The revision alone, where it costs less than the view. */
  revision?(session: string): Promise<number>;
  /**
   * What was committed behind a session cursor, each commit once, in any region; then what comes. A source that has this
   * is the only one that tells of commits: none is read from the replay store.
   *
   * @throws {@link LiveError} `COMMITS_MISSING` if they cannot be told without a hole, which is a gap to who watches.
   * Whatever else is thrown ends the watch.
   */
  committedAfter?(
    session: string,
    committed: string,
    options: CommittedAfterOptions,
  ): AsyncIterable<LiveCommit<View>>;
}

/** The durable view of a session, and the cursor behind which its events go on: none falls between the two. */
export interface LiveObservation<View> {
  readonly session: string;
  readonly revision: number;
  readonly view: View;
  readonly cursor: LiveCursor;
}

/** A gap, with a fresh observation to go on from. */
export interface LiveGapAnswer<View> {
  readonly kind: "gap";
  readonly gap: LiveGap;
  readonly observation: LiveObservation<View>;
  /** Given by `resume` alone, over a source with `committedAfter`: the commits behind the requested cursor, each once. */
  readonly committed?: readonly LiveEvent[];
}

/** The answer to {@link LiveSession.resume}. */
export type LiveResume<View> =
  | { readonly kind: "replayed"; readonly events: readonly LiveEvent[] }
  | LiveGapAnswer<View>;

/** What a watch gives. */
export type LiveItem<View> =
  | { readonly kind: "observation"; readonly observation: LiveObservation<View> }
  | { readonly kind: "event"; readonly event: LiveEvent }
  | LiveGapAnswer<View>;

/** Options of {@link LiveSession.watch}. */
export interface LiveWatchOptions {
  /** Goes on behind it; without it the first item is an observation. */
  readonly after?: LiveCursor | string;
  /** Ends the watch: its iterator is done. */
  readonly signal?: AbortSignal;
  /** `gap`: a lag is an item with a fresh observation. `throw`: it is `SUBSCRIBER_LAGGED`, and the end. @defaultValue "gap" */
  readonly onLag?: "gap" | "throw";
}

/** Options of {@link LiveSession.beginTurn}. */
export interface BeginTurnOptions {
  /** Names the turn in its session. */
  readonly turn: string;
  /** How long observers wait for a sign of life before they call the turn orphaned; from 1. @defaultValue 30,000 */
  readonly ttlMs?: number;
  /** How long a turn may be without activity before this process itself calls it orphaned. @defaultValue 600,000 */
  readonly silentMsMax?: number;
}

/**
 * A turn under way in this process. It shows signs of life by itself until it ends. What is told of a turn that has ended
 * is dropped: whoever ended it first, also elsewhere, decides.
 */
export interface LiveTurn {
  readonly turn: string;
  readonly state: TurnState;
  /** Aborted when the turn is cancelled, in whatever region, or called orphaned. */
  readonly signal: AbortSignal;
  /** Tells of something that is passing; the first makes the turn `streaming`. */
  activity(activity: unknown): void;
  /** A sign of life, so that a long silence is none. */
  renew(): void;
  done(): void;
  fail(message: string): void;
}

/** A commit to tell of; see {@link LiveSession.committed}. */
export interface CommittedOptions<View> {
  /** What was committed, where the caller has it at hand. @defaultValue what the source observes */
  readonly head?: LiveHead<View>;
  /** The agent frame that is current now; told before the commit if it is another one, and not empty. @defaultValue that of the head */
  readonly frame?: string;
}

/** The live events of one session. */
export interface LiveSession<View> {
  readonly id: string;
  /** @throws {@link LiveError} `STORE_UNAVAILABLE`, `CLOSED`; what the source throws. */
  observe(): Promise<LiveObservation<View>>;
  /**
   * The events behind a cursor, proven to have no hole, or a gap with a fresh observation.
   *
   * @throws {@link LiveError} `MALFORMED`, `WRONG_SESSION`, both before anything is asked.
   */
  resume(cursor: LiveCursor | string): Promise<LiveResume<View>>;
  /**
   * Watches the session: an observation first, or what goes on behind `after`, then every event. A gap or a lag is an item
   * with a fresh observation, and the watch goes on behind that. Nothing is given twice: a commit that the observation has
   * already, and a sign of life of a turn, are left out.
   *
   * Over a source with `committedAfter`, commits behind the requested cursor follow a gap, each once, as they would have
   * come without it: those up to the revision of its observation are in its view.
   *
   * Leaving the loop, `return()`, the signal and closing release all that it holds.
   *
   * @throws {@link LiveError} `MALFORMED`, `WRONG_SESSION`, by the call itself. The iterator rejects with `CLOSED`,
   * `STORE_UNAVAILABLE` and what the source throws.
   */
  watch(options?: LiveWatchOptions): AsyncIterableIterator<LiveItem<View>>;
  /**
   * Appends an event under the current revision. Never waits and never throws for the store's sake: what fails goes to
   * `onError`, and readers recover through a gap, or with the next commit. A change that names no batch or process is none.
   */
  publish(payload: LivePayload<View>): void;
  /**
   * Tells of a commit that is durable. Resolves once the event is appended, or that has failed: it never rejects, since the
   * commit stands.
   */
  committed(options?: CommittedOptions<View>): Promise<void>;
  /** @throws `RangeError` if the turn is under way in this process. */
  beginTurn(options: BeginTurnOptions): LiveTurn;
  /**
   * Cancels a turn, wherever its producer is. Resolves once the act is in the journal, if there is one, with whether the
   * turn had not ended as far as is known here.
   *
   * @throws What the journal throws.
   */
  cancelTurn(turn: string): Promise<boolean>;
  /** The turns under way that are known here. */
  turns(): readonly { readonly turn: string; readonly state: TurnState }[];
}

/** Live events of all sessions of a source. */
export interface Live<View> extends AsyncDisposable {
  session(id: string): LiveSession<View>;
  /** Ends every watch with `CLOSED`, and leaves the store and the turns as they are. Idempotent. */
  close(): Promise<void>;
}
