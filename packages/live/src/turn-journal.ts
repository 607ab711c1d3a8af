import type { LiveTimers } from "./live-timers.ts";
import type { StreamJournal, StreamJournalEntry } from "./stream-log-journal.ts";

/**
 * What carries the cancelling of a turn to its producer, in whatever region that is: `regionJournal` of
 * `@tidemark/session-store` over a region, or another of this shape.
 */
export type TurnJournal = Pick<StreamJournal, "append" | "read" | "changes">;

/** Under which turns are cancelled in a journal. */
export const TURN_NAMESPACE = "tidemark.live.turns";
/** How long a journal that failed is left alone. */
const RETRY_MS = 1_000;
/** Entries that are known of a session; a journal gives no more than half of them. */
const KNOWN_MAX = 2_000;

const utf8 = new TextEncoder();
const text = new TextDecoder();

/** What a {@link TurnCancels} needs. */
export interface TurnCancelsOptions {
  readonly journal: TurnJournal;
  readonly timers: LiveTimers;
  readonly report: (session: string, error: unknown) => void;
}

/** Hears of turns that are cancelled through a journal, for the sessions that have a producer here. */
export class TurnCancels {
  readonly #options: TurnCancelsOptions;
  readonly #listeners: Map<string, { known: Set<string>; readonly cancelled: (turn: string) => void }> =
    new Map();
  #stop: AbortController | undefined;
  #cancelRetry: (() => void) | undefined;

  constructor(options: TurnCancelsOptions) {
    this.#options = options;
  }

  /** Cancels a turn, for every region. */
  async cancel(session: string, turn: string): Promise<void> {
    const bytes = utf8.encode(JSON.stringify({ turn }));
    // Each act is an entry of its own: the same turn may have begun again.
    await this.#options.journal.append(session, TURN_NAMESPACE, bytes, globalThis.crypto.randomUUID());
  }

  /** Tells of what is cancelled from now on; again for a session replaces nothing. */
  listen(session: string, cancelled: (turn: string) => void): void {
    if (this.#listeners.has(session)) return;
    this.#run();
    this.#listeners.set(session, { known: this.#known(session), cancelled });
  }

  ignore(session: string): void {
    this.#listeners.delete(session);
    if (this.#listeners.size === 0) this.close();
  }

  close(): void {
    this.#listeners.clear();
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    this.#stop?.abort();
    this.#stop = undefined;
  }

  #run(): void {
    if (this.#stop !== undefined || this.#cancelRetry !== undefined) return;
    const stop = new AbortController();
    this.#stop = stop;
    // Asked for before anything is read, so that what comes in between is told.
    const changes = this.#options.journal.changes(stop.signal)[Symbol.asyncIterator]();
    void this.#pump(changes, changes.next(), stop).catch((error: unknown) => {
      if (stop.signal.aborted) return;
      this.#stop = undefined;
      for (const session of this.#listeners.keys()) this.#options.report(session, error);
      this.#cancelRetry = this.#options.timers.setTimer(RETRY_MS, () => {
        this.#cancelRetry = undefined;
        this.#run();
        for (const session of this.#listeners.keys()) this.#hear(session);
      });
    });
  }

  async #pump(
    changes: AsyncIterator<string>,
    first: Promise<IteratorResult<string>>,
    stop: AbortController,
  ): Promise<void> {
    for (let step = await first; step.done !== true; step = await changes.next()) {
      if (stop.signal.aborted) return;
      this.#hear(step.value);
    }
    if (!stop.signal.aborted) throw new Error("The journal tells of no more changes");
  }

  #hear(session: string): void {
    const listener = this.#listeners.get(session);
    if (listener === undefined) return;
    for (const { effectId, bytes } of this.#read(session, (id) => listener.known.has(id))) {
      listener.known.add(effectId);
      const turn = turnOf(bytes);
      if (turn !== undefined) listener.cancelled(turn);
    }
    if (listener.known.size > KNOWN_MAX) listener.known = this.#known(session);
  }

  #known(session: string): Set<string> {
    return new Set(this.#read(session, () => false).map(({ effectId }) => effectId));
  }

  #read(session: string, known: (effectId: string) => boolean): readonly StreamJournalEntry[] {
    try {
      return this.#options.journal.read(session, TURN_NAMESPACE, known);
    } catch (error) {
      this.#options.report(session, error);
      return [];
    }
  }
}

/** The turn an entry cancels; `undefined` for one that a later version wrote. */
function turnOf(bytes: Uint8Array): string | undefined {
  try {
    const { turn } = JSON.parse(text.decode(bytes)) as { readonly turn?: unknown };
    return typeof turn === "string" ? turn : undefined;
  } catch {
    return undefined;
  }
}
