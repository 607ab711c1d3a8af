import type { LiveEvent, TurnState } from "./live-event.ts";
import type { LiveTimers } from "./live-timers.ts";

/** How long a turn may be silent that does not say so itself. */
export const TURN_TTL_MS = 30_000;

const ENDED: ReadonlySet<TurnState> = new Set(["done", "error", "cancelled", "orphaned"]);

/** Whether a turn in this state is over. */
export function hasEnded(state: TurnState): boolean {
  return ENDED.has(state);
}

/** What a {@link TurnBook} needs. */
export interface TurnBookOptions {
  readonly timers: LiveTimers;
  /** Turns that are remembered; the one not heard of for longest is forgotten. */
  readonly turnsMax: number;
  /** A turn was not heard of for its time; resolves with whether that was told. */
  readonly orphan: (turn: string) => Promise<boolean>;
  /** A turn ended, whoever said so. */
  readonly ended: (turn: string, state: TurnState) => void;
}

interface Entry {
  state: TurnState;
  ttlMs: number;
  heardMs: number;
  /** Calls off the watchdog. */
  cancel: (() => void) | undefined;
}

/** What is known of the turns of one session, and the watchdog that ends those that have no producer. */
export class TurnBook {
  readonly #options: TurnBookOptions;
  /** In the order they were last heard of. */
  readonly #turns: Map<string, Entry> = new Map();
  #incarnation = "";
  #position = 0;

  constructor(options: TurnBookOptions) {
    this.#options = options;
  }

  /** Turns that have not ended. */
  running(): { readonly turn: string; readonly state: TurnState }[] {
    return [...this.#turns]
      .filter(([, { state }]) => !hasEnded(state))
      .map(([turn, { state }]) => ({ turn, state }));
  }

  stateOf(turn: string): TurnState | undefined {
    return this.#turns.get(turn)?.state;
  }

  /** Takes an event; several readers of one session may bring the same. */
  hear({ cursor, payload }: LiveEvent): void {
    if (payload.kind !== "turn_state" && payload.kind !== "turn_activity") return;
    if (cursor.incarnation === this.#incarnation && cursor.position <= this.#position) return;
    this.#incarnation = cursor.incarnation;
    this.#position = cursor.position;
    if (payload.kind === "turn_state") this.note(payload.turn, payload.state, payload.ttlMs);
    else if (payload.turn !== undefined) this.#alive(payload.turn);
  }

  /** A turn is in a state. One that has ended begins again with `pending`, and with nothing else. */
  note(turn: string, state: TurnState, ttlMs: number = TURN_TTL_MS): void {
    const { timers, turnsMax, ended } = this.#options;
    const known = this.#turns.get(turn);
    if (known !== undefined && hasEnded(known.state) && state !== "pending") return;
    known?.cancel?.();
    this.#turns.delete(turn);
    const entry: Entry = { state, ttlMs, heardMs: timers.now(), cancel: undefined };
    this.#turns.set(turn, entry);
    const [oldest] = this.#turns.keys();
    if (this.#turns.size > turnsMax) this.#forget(oldest!);
    if (hasEnded(state)) ended(turn, state);
    else this.#watch(turn, entry, ttlMs);
  }

  /** Calls off every watchdog. */
  close(): void {
    for (const turn of [...this.#turns.keys()]) this.#forget(turn);
  }

  #alive(turn: string): void {
    const entry = this.#turns.get(turn);
    if (entry !== undefined) entry.heardMs = this.#options.timers.now();
  }

  #watch(turn: string, entry: Entry, ms: number): void {
    const { timers, orphan } = this.#options;
    entry.cancel = timers.setTimer(ms, () => {
      entry.cancel = undefined;
      const leftMs = entry.heardMs + entry.ttlMs - timers.now();
      if (leftMs > 0) return this.#watch(turn, entry, leftMs);
      void orphan(turn).then((told) => {
        // A store that cannot be reached is tried again.
        if (!told && this.#turns.get(turn) === entry) this.#watch(turn, entry, entry.ttlMs);
      });
    });
  }

  #forget(turn: string): void {
    this.#turns.get(turn)?.cancel?.();
    this.#turns.delete(turn);
  }
}
