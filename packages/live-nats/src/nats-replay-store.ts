import { jetstreamManager } from "@nats-io/jetstream";
import {
  AppendQueue,
  LiveCursor,
  LiveError,
  type LiveEvent,
  LiveFollower,
  type LiveFollowerPlace,
  type LiveGap,
  type LivePayload,
  type LivePositionOptions,
  type LiveReplay,
  type LiveReplayStore,
  type LiveSubscribeOptions,
  type LiveSubscription,
  PushedSubscription,
  replayGap,
} from "@tidemark/live";
import { hold, type Held } from "./connection.ts";
import { isUnauthorized, liveErrorOf, NatsLiveError } from "./errors.ts";
import { HEADERS_BYTES_MAX } from "./message.ts";
import { limitsOf, type NatsLiveLimits, type NatsReplayStoreOptions } from "./options.ts";
import { SessionLog } from "./session-log.ts";
import type { SessionState } from "./session-memory.ts";
import { SessionReader } from "./session-reader.ts";
import { ensureStream } from "./stream.ts";

/** Characters are up to three bytes. */
const CHAR_BYTES_MAX = 3;

/**
 * Opens a replay store in one JetStream stream, which any number of processes share.
 *
 * @throws {@link NatsLiveError} for what cannot work, `RangeError` for an option that is none, `LiveError`
 * `STORE_UNAVAILABLE` if the servers are away.
 */
export async function openNatsReplayStore(options: NatsReplayStoreOptions): Promise<LiveReplayStore> {
  const given = limitsOf(options);
  let held: Held | undefined;
  try {
    held = await hold(options);
    const { connection } = held;
    const payload = (connection.info?.max_payload ?? Number.POSITIVE_INFINITY) - HEADERS_BYTES_MAX;
    const limits = { ...given, eventBytesMax: Math.min(given.eventBytesMax, payload) };
    const manager = await jetstreamManager(connection, { checkAPI: false, timeout: limits.answerTimeoutMs });
    const make = options.make ?? {};
    await ensureStream(manager, limits, make);
    const { monotonicMs = () => globalThis.performance.now(), onError = () => undefined } = options;
    // The clock of the machine is the only one there is; whoever drives time gives another.
    // oxlint-disable-next-line no-restricted-properties
    const nowMs = options.nowMs ?? Date.now;
    const log = new SessionLog({ connection, manager, limits, make, monotonicMs, nowMs });
    return new NatsReplayStore(held, log, limits, payload, onError);
  } catch (error) {
    if (held?.own === true) await held.connection.close();
    if (error instanceof NatsLiveError) throw error;
    if (isUnauthorized(error)) throw new NatsLiveError("UNAUTHORIZED", String(error), { cause: error });
    throw liveErrorOf(error, "open the store");
  }
}

/** How often a replay is read that others overtook; what is missing then is told as a lag. */
const READS_MAX = 4;

/** What is behind a cursor, and where the stream was then. */
interface Replay {
  readonly state: SessionState;
  readonly events: readonly LiveEvent[];
}

class NatsReplayStore implements LiveReplayStore {
  readonly name = "nats";
  readonly #held: Held;
  readonly #log: SessionLog;
  readonly #limits: NatsLiveLimits;
  readonly #queue: AppendQueue;
  readonly #readers: Map<string, SessionReader> = new Map();
  readonly #onError: (error: unknown) => void;
  #closed = false;

  constructor(
    held: Held,
    log: SessionLog,
    limits: NatsLiveLimits,
    payloadBytesMax: number,
    onError: (error: unknown) => void,
  ) {
    this.#held = held;
    this.#log = log;
    this.#limits = limits;
    this.#onError = onError;
    this.#queue = new AppendQueue({
      eventBytesMax: limits.eventBytesMax,
      batchCharsMax: Math.min(limits.eventBytesMax, Math.floor(payloadBytesMax / CHAR_BYTES_MAX)),
      send: (session, drafts) => this.#open(log.append(session, drafts)),
    });
    void this.#watchConnection();
  }

  append(
    session: string,
    revision: number,
    payload: LivePayload,
    options?: LivePositionOptions,
  ): Promise<LiveEvent> {
    return this.#queue.append(session, revision, payload, options);
  }

  async replayAfter(cursor: LiveCursor): Promise<LiveReplay> {
    this.#guard();
    const found = await this.#open(this.#replay(cursor));
    if ("gap" in found) return { kind: "gap", gap: found.gap };
    return { kind: "replayed", events: found.events };
  }

  async subscribeAfter(cursor: LiveCursor, { signal }: LiveSubscribeOptions = {}): Promise<LiveSubscription> {
    this.#guard();
    signal?.throwIfAborted();
    const reader = this.#readerOf(cursor.session);
    const { follower } = reader;
    const subscription = new PushedSubscription({
      bufferedMax: this.#limits.bufferedMax,
      signal,
      onEnd: () => {
        follower.remove(subscription);
        if (follower.empty) this.#leave(reader);
      },
    });
    // From here on it is handed what comes; what is read next says how far that is a repeat.
    follower.add(subscription);
    let found: Replay | { readonly gap: LiveGap };
    let reads = 1;
    try {
      do found = await this.#open(this.#replay(cursor));
      while (!("gap" in found) && reads++ < READS_MAX && !follower.joins(subscription, placeOf(found)));
    } catch (error) {
      await subscription.return();
      signal?.throwIfAborted();
      throw error;
    }
    if ("gap" in found) {
      await subscription.return();
      return { kind: "gap", gap: found.gap };
    }
    subscription.begin(found.state.incarnation, cursor.position, found.events);
    follower.begin(placeOf(found));
    reader.start();
    return { kind: "subscribed", events: subscription };
  }

  async currentCursor(
    session: string,
    revision: number,
    options: LivePositionOptions = {},
  ): Promise<LiveCursor> {
    this.#guard();
    // Refuses what is no session before anything is asked.
    LiveCursor.of({ ...options, session, revision, position: 0, incarnation: "0" });
    const { incarnation, tail } = await this.#open(this.#log.current(session));
    return LiveCursor.of({ ...options, session, revision, position: tail, incarnation });
  }

  async trim(session: string): Promise<void> {
    this.#guard();
    const state = await this.#open(this.#log.look(session));
    if (state === undefined || state.tail === 0) return;
    const messages = await this.#open(this.#log.messages(session, state));
    const first = this.#log.memory.firstOf(session, messages, this.#limits);
    const kept = messages.find(({ position, events }) => position + events.length > first);
    // The last one says where the session is, whatever its age.
    const below = kept?.sequence ?? state.sequence;
    if (messages.some(({ sequence }) => sequence < below)) await this.#open(this.#log.purge(session, below));
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue.close();
    for (const reader of this.#readers.values()) {
      reader.stop();
      reader.follower.close();
    }
    if (this.#held.own) await this.#held.connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #replay(cursor: LiveCursor): Promise<Replay | { readonly gap: LiveGap }> {
    const { session, position } = cursor;
    const state = await this.#log.current(session);
    const ahead = replayGap(cursor, { ...state, first: 0 });
    if (ahead !== undefined) return { gap: ahead };
    if (position === state.tail) return { state, events: [] };
    const messages = await this.#log.messages(session, state);
    const first = this.#log.memory.firstOf(session, messages, this.#limits);
    const gap = replayGap(cursor, { ...state, first });
    if (gap !== undefined) return { gap };
    const events = messages.flatMap((message) => message.events);
    return { state, events: events.filter((event) => event.cursor.position > position) };
  }

  #readerOf(session: string): SessionReader {
    const found = this.#readers.get(session);
    if (found !== undefined) return found;
    const { followedMax } = this.#limits;
    if (this.#readers.size >= followedMax)
      throw new LiveError("STORE_UNAVAILABLE", `Cannot follow more than ${followedMax} sessions at once`);
    const reader = new SessionReader(
      new LiveFollower<number>(session, (left, right) => left < right),
      this.#log,
      this.#onError,
    );
    this.#readers.set(session, reader);
    return reader;
  }

  #leave(reader: SessionReader): void {
    reader.stop();
    if (this.#readers.get(reader.follower.session) === reader) this.#readers.delete(reader.follower.session);
  }

  async #watchConnection(): Promise<void> {
    for await (const { type } of this.#held.connection.status()) {
      if (type === "reconnect") for (const reader of this.#readers.values()) reader.renew();
      if (this.#closed) return;
    }
    // It was closed for good, by us or by whoever lent it.
    await this.close();
  }

  #guard(): void {
    if (this.#closed) throw closed();
  }

  /** What a call meets while the store closes is `CLOSED`. */
  async #open<T>(calling: Promise<T>): Promise<T> {
    try {
      return await calling;
    } catch (error) {
      throw this.#closed ? closed() : error;
    }
  }
}

function placeOf({ state: { incarnation, sequence } }: Replay): LiveFollowerPlace<number> {
  return { incarnation, at: sequence };
}

function closed(): LiveError {
  return new LiveError("CLOSED", "Cannot use the store of live events: it was closed");
}
