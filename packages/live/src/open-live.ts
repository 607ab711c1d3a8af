import { guardSafe } from "@tidemark/core";
import { handleClosed, LiveChannel, type LiveContext } from "./live-channel.ts";
import { LiveCursor } from "./live-cursor.ts";
import type { LivePayload } from "./live-event.ts";
import { replayBehind, replayBoth } from "./live-replay.ts";
import { type LiveTimers, platformTimers } from "./live-timers.ts";
import { LiveClosing, LiveWatch } from "./live-watch.ts";
import type {
  BeginTurnOptions,
  CommittedOptions,
  Live,
  LiveItem,
  LiveObservation,
  LiveResume,
  LiveSession,
  LiveSource,
  LiveTurn,
  LiveWatchOptions,
} from "./live.ts";
import { ReaderPlace } from "./reader-place.ts";
import type { LiveReplayStore } from "./replay-store.ts";
import { TurnCancels, type TurnJournal } from "./turn-journal.ts";

/** Options of {@link openLive}. */
export interface LiveOptions<View> {
  /** Borrowed: it is left open. */
  readonly store: LiveReplayStore;
  readonly source: LiveSource<View>;
  /** Told of what failed behind the back of a caller: an append, a commit that could not be told of. @defaultValue nobody */
  readonly onError?: (error: unknown, failed: { readonly session: string }) => void;
  /** Carries the cancelling of turns to other regions. @defaultValue turns are cancelled over the store alone */
  readonly journal?: TurnJournal;
  /** @defaultValue those of the platform */
  readonly timers?: LiveTimers;
  /** Sessions whose revision and turns are remembered; of those beyond, only what is in use. @defaultValue 10,000 */
  readonly sessionsMax?: number;
  /** Events of a session that may be under way to the store; one more is dropped, and reported. @defaultValue 8,192 */
  readonly appendsMax?: number;
  /** Turns of a session that are remembered. @defaultValue 1,000 */
  readonly turnsMax?: number;
}

/** Sessions that one call looks at to forget some. */
const FORGOTTEN_A_CALL_MAX = 16;

/**
 * Opens live events over a replay store and a source of durable state.
 *
 * @example
 * ```ts
 * const source = { observe: async () => ({ revision: 0, view: "" }) };
 * await using store = openMemoryReplayStore();
 * await using live = openLive({ store, source });
 * const session = live.session("trip");
 * const { cursor } = await session.observe();
 * session.publish({ kind: "turn_activity", activity: "Hel" });
 * const resumed = await session.resume(cursor);
 * assert.equal(resumed.kind === "replayed" && resumed.events.length, 1);
 * ```
 */
export function openLive<View>(options: LiveOptions<View>): Live<View> {
  return new LiveHandle(options);
}

class LiveHandle<View> implements Live<View> {
  readonly #context: LiveContext<View>;
  readonly #sessionsMax: number;
  readonly #closing: LiveClosing = new LiveClosing();
  /** In the order they were last asked for. */
  readonly #channels: Map<string, LiveChannel<View>> = new Map();

  constructor(options: LiveOptions<View>) {
    const { store, source, onError, journal, timers = platformTimers } = options;
    this.#sessionsMax = guardSafe(options.sessionsMax ?? 10_000, "sessionsMax", 1);
    const report = (session: string, error: unknown): void => {
      try {
        onError?.(error, { session });
      } catch {
        // A listener that fails has nobody to tell.
      }
    };
    this.#context = {
      store,
      source,
      timers,
      cancels: journal === undefined ? undefined : new TurnCancels({ journal, timers, report }),
      appendsMax: guardSafe(options.appendsMax ?? 8_192, "appendsMax", 1),
      turnsMax: guardSafe(options.turnsMax ?? 1_000, "turnsMax", 1),
      report,
    };
  }

  session(id: string): LiveSession<View> {
    return new SessionHandle(id, () => this.#channel(id), this.#closing);
  }

  async close(): Promise<void> {
    this.#closing.close();
    this.#context.cancels?.close();
    for (const channel of this.#channels.values()) channel.close();
    this.#channels.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #channel(session: string): LiveChannel<View> {
    if (this.#closing.closed) throw handleClosed();
    const known = this.#channels.get(session);
    if (known !== undefined) return known;
    // Refuses what is no session id.
    LiveCursor.of({ session, revision: 0, position: 0, incarnation: "-" });
    const channel = new LiveChannel(session, this.#context);
    this.#channels.set(session, channel);
    this.#forget();
    return channel;
  }

  #forget(): void {
    let looked = 0;
    for (const [session, channel] of this.#channels) {
      if (this.#channels.size <= this.#sessionsMax || ++looked > FORGOTTEN_A_CALL_MAX) return;
      this.#channels.delete(session);
      if (channel.isIdle) channel.close();
      else this.#channels.set(session, channel);
    }
  }
}

class SessionHandle<View> implements LiveSession<View> {
  readonly id: string;
  readonly #channel: () => LiveChannel<View>;
  readonly #closing: LiveClosing;

  constructor(id: string, channel: () => LiveChannel<View>, closing: LiveClosing) {
    this.id = id;
    this.#channel = channel;
    this.#closing = closing;
  }

  async observe(): Promise<LiveObservation<View>> {
    return this.#channel().observe();
  }

  async resume(cursor: LiveCursor | string): Promise<LiveResume<View>> {
    const requested = LiveCursor.parse(cursor.toString(), this.id);
    const channel = this.#channel();
    return channel.context.source.committedAfter === undefined
      ? replayBehind(channel, new ReaderPlace(requested))
      : replayBoth(channel, requested);
  }

  watch(options: LiveWatchOptions = {}): AsyncIterableIterator<LiveItem<View>> {
    const { after } = options;
    const cursor = after === undefined ? undefined : LiveCursor.parse(after.toString(), this.id);
    return new LiveWatch(this.#channel(), cursor, options, this.#closing);
  }

  publish(payload: LivePayload<View>): void {
    if (!this.#closing.closed) this.#channel().publish(payload);
  }

  async committed(options?: CommittedOptions<View>): Promise<void> {
    if (!this.#closing.closed) await this.#channel().committed(options);
  }

  beginTurn(options: BeginTurnOptions): LiveTurn {
    return this.#channel().beginTurn(options);
  }

  async cancelTurn(turn: string): Promise<boolean> {
    return this.#channel().cancelTurn(turn);
  }

  turns(): ReturnType<LiveSession<View>["turns"]> {
    return this.#channel().turns();
  }
}
