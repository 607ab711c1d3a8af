import { LiveError } from "./errors.ts";
import { LiveCursor } from "./live-cursor.ts";
import type { LiveEvent, LiveGap, LiveGapReason, LivePayload } from "./live-event.ts";
import { LiveOutbox } from "./live-outbox.ts";
import type { LiveTimers } from "./live-timers.ts";
import type {
  BeginTurnOptions,
  CommittedOptions,
  LiveGapAnswer,
  LiveHead,
  LiveObservation,
  LiveSource,
  LiveTurn,
} from "./live.ts";
import type { LiveReplayStore } from "./replay-store.ts";
import { RunningTurn } from "./running-turn.ts";
import { TurnBook } from "./turn-book.ts";
import { TurnEar } from "./turn-ear.ts";
import type { TurnCancels } from "./turn-journal.ts";

/** What all channels of a handle share. */
export interface LiveContext<View> {
  readonly store: LiveReplayStore;
  readonly source: LiveSource<View>;
  readonly timers: LiveTimers;
  readonly cancels: TurnCancels | undefined;
  readonly appendsMax: number;
  readonly turnsMax: number;
  readonly report: (session: string, error: unknown) => void;
}

/** How long a commit that could not be told of waits for the next try. */
const RETRY_MS = 1_000;

/** What a handle knows of one session. */
export class LiveChannel<View> {
  readonly session: string;
  readonly context: LiveContext<View>;
  /** Watches that are under way. */
  watching = 0;
  readonly #outbox: LiveOutbox;
  readonly #book: TurnBook;
  readonly #running: Map<string, RunningTurn> = new Map();
  readonly #ear: TurnEar;
  #frame = "";
  #published = -1;
  #cancelRetry: (() => void) | undefined;

  constructor(session: string, context: LiveContext<View>) {
    const { store, timers, appendsMax, turnsMax } = context;
    this.session = session;
    this.context = context;
    const report = (error: unknown): void => context.report(session, error);
    const loadRevision = (): Promise<number> => this.revision();
    this.#outbox = new LiveOutbox({ session, store, appendsMax, loadRevision, report });
    const orphan = (turn: string): Promise<boolean> => this.#end(turn, "orphaned");
    this.#book = new TurnBook({
      timers,
      turnsMax,
      orphan,
      ended: (turn, state) => this.#running.get(turn)?.endedElsewhere(state),
    });
    this.#ear = new TurnEar({ session, store, timers, hear: (event) => this.hear(event), report });
  }

  /** Whether nothing would be lost with it but what can be looked up again. */
  get isIdle(): boolean {
    return (
      this.watching === 0 &&
      this.#running.size === 0 &&
      this.#cancelRetry === undefined &&
      this.#outbox.isIdle &&
      this.#book.running().length === 0
    );
  }

  /** The durable revision. */
  async revision(): Promise<number> {
    const { source } = this.context;
    return (await source.revision?.(this.session)) ?? (await source.observe(this.session)).revision;
  }

  async observe(): Promise<LiveObservation<View>> {
    const { store, source } = this.context;
    const { session } = this;
    // The cursor first: an event in between is given again, and known by its revision, but none is lost.
    const { position, incarnation } = await store.currentCursor(session, 0);
    const { revision, view, committed } = await source.observe(session);
    this.#outbox.reached(revision);
    const fields = { session, revision, position, incarnation };
    const cursor = LiveCursor.of(committed === undefined ? fields : { ...fields, committed });
    return { session, revision, view, cursor };
  }

  /** A gap, as it is given to a reader. */
  async gap(requested: LiveCursor, reason: LiveGapReason): Promise<LiveGapAnswer<View>> {
    const observation = await this.observe();
    const { session, cursor: latest, revision: latestRevision } = observation;
    const gap: LiveGap = { session, requested, latest, latestRevision, reason };
    // All that is left out; where nothing can be proven it is not known.
    if (reason === "unavailable") return { kind: "gap", gap, observation };
    const missed = latest.position - requested.position;
    return { kind: "gap", gap: { ...gap, missed }, observation };
  }

  /** Takes note of an event that a reader has brought. */
  hear(event: LiveEvent): void {
    if (event.payload.kind === "committed") this.#outbox.reached(event.revision);
    this.#book.hear(event);
  }

  publish(payload: LivePayload): void {
    if (payload.kind === "queue_changed" && payload.batches.length === 0) return;
    if (payload.kind === "process_changed" && payload.processes.length === 0) return;
    if (payload.kind === "turn_state") this.#book.note(payload.turn, payload.state, payload.ttlMs);
    void this.#outbox.put(payload);
  }

  async committed(options: CommittedOptions<View> = {}): Promise<void> {
    const { source, report } = this.context;
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    let current: LiveHead<View>;
    try {
      current = options.head ?? (await source.observe(this.session));
    } catch (error) {
      report(this.session, error);
      return this.#retryLater(options.frame);
    }
    // What a later commit has told of already is no news.
    if (current.revision <= this.#published) return;
    this.#published = current.revision;
    this.#outbox.reached(current.revision);
    const appended: Promise<unknown>[] = [];
    const { frame = current.frame } = options;
    if (frame !== undefined && frame !== "" && frame !== this.#frame) {
      this.#frame = frame;
      appended.push(this.#outbox.put({ kind: "agent_frame_switched", frame }, current.revision));
    }
    if (source.committedAfter === undefined) {
      appended.push(this.#outbox.put({ kind: "committed", view: current.view }, current.revision));
    }
    const told = await Promise.all(appended);
    if (!told.includes(undefined)) return;
    this.#published = -1;
    this.#retryLater(undefined);
  }

  beginTurn(options: BeginTurnOptions): LiveTurn {
    const { turn } = options;
    if (this.#running.has(turn)) throw new RangeError(`Turn ${turn} of session ${this.session} is under way`);
    this.context.cancels?.listen(this.session, (cancelled) =>
      this.#running.get(cancelled)?.stop("cancelled"),
    );
    this.#ear.open();
    const running = new RunningTurn({
      ...options,
      timers: this.context.timers,
      publish: (payload) => this.publish(payload),
      onEnd: () => this.#forget(turn),
    });
    this.#running.set(turn, running);
    return running;
  }

  async cancelTurn(turn: string): Promise<boolean> {
    await this.context.cancels?.cancel(this.session, turn);
    const running = this.#running.get(turn);
    if (running !== undefined) {
      running.stop("cancelled");
      return true;
    }
    const known = this.#book.stateOf(turn);
    if (known !== undefined && known !== "pending" && known !== "streaming") return known === "cancelled";
    await this.#end(turn, "cancelled");
    return true;
  }

  turns(): ReturnType<TurnBook["running"]> {
    return this.#book.running();
  }

  close(): void {
    this.#cancelRetry?.();
    this.#book.close();
    this.#ear.close();
    for (const turn of this.#running.values()) turn.abandon();
  }

  /** Tells of the end of a turn whose producer is not here. */
  async #end(turn: string, state: "cancelled" | "orphaned"): Promise<boolean> {
    const event = await this.#outbox.put({ kind: "turn_state", turn, state });
    if (event !== undefined) this.#book.note(turn, state);
    return event !== undefined;
  }

  #forget(turn: string): void {
    this.#running.delete(turn);
    if (this.#running.size > 0) return;
    this.#ear.close();
    this.context.cancels?.ignore(this.session);
  }

  #retryLater(frame: string | undefined): void {
    this.#cancelRetry ??= this.context.timers.setTimer(RETRY_MS, () => {
      this.#cancelRetry = undefined;
      void this.committed(frame === undefined ? {} : { frame });
    });
  }
}

/** What a handle that was closed rejects with. */
export function handleClosed(): LiveError {
  return new LiveError("CLOSED", "Cannot watch the session: the handle was closed");
}
