import type { BeginTurnOptions, LiveTurn } from "./live.ts";
import type { LivePayload, TurnState } from "./live-event.ts";
import type { LiveTimers } from "./live-timers.ts";
import { hasEnded, TURN_TTL_MS } from "./turn-book.ts";

/** Signs of life in the time that observers wait for one. */
const RENEWALS = 3;
const SILENT_MS_MAX = 600_000;

/** What a {@link RunningTurn} needs. */
export interface RunningTurnOptions extends BeginTurnOptions {
  readonly timers: LiveTimers;
  readonly publish: (payload: LivePayload) => void;
  /** Called once, when it has ended. */
  readonly onEnd: () => void;
}

/** A turn whose producer is in this process. */
export class RunningTurn implements LiveTurn {
  readonly turn: string;
  readonly #options: RunningTurnOptions;
  readonly #ttlMs: number;
  readonly #stop: AbortController = new AbortController();
  #state: TurnState = "pending";
  #activeMs: number;
  #cancelTimer: (() => void) | undefined;

  constructor(options: RunningTurnOptions) {
    const { turn, ttlMs = TURN_TTL_MS, timers } = options;
    if (!(ttlMs >= 1)) throw new RangeError(`ttlMs must be at least 1: ${ttlMs}`);
    this.turn = turn;
    this.#options = options;
    this.#ttlMs = Math.ceil(ttlMs);
    this.#activeMs = timers.now();
    this.#tell();
    this.#renewLater();
  }

  get state(): TurnState {
    return this.#state;
  }

  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  activity(activity: unknown): void {
    if (hasEnded(this.#state)) return;
    this.renew();
    if (this.#state === "pending") {
      this.#state = "streaming";
      this.#tell();
    }
    this.#options.publish({ kind: "turn_activity", turn: this.turn, activity });
  }

  renew(): void {
    this.#activeMs = this.#options.timers.now();
  }

  done(): void {
    this.#end("done");
  }

  fail(message: string): void {
    this.#end("error", message);
  }

  /** It was ended by someone else, who told of it. */
  endedElsewhere(state: TurnState): void {
    if (hasEnded(this.#state)) return;
    this.#close(state);
    this.#stop.abort();
  }

  /** Ends it here, on behalf of others. */
  stop(state: "cancelled" | "orphaned"): void {
    if (hasEnded(this.#state)) return;
    this.#end(state);
    this.#stop.abort();
  }

  /** Shows no more signs of life; observers find out. */
  abandon(): void {
    this.#cancelTimer?.();
  }

  #end(state: TurnState, message?: string): void {
    if (hasEnded(this.#state)) return;
    this.#close(state);
    const { publish } = this.#options;
    const ended = { kind: "turn_state", turn: this.turn, state } as const;
    publish(message === undefined ? ended : { ...ended, message });
  }

  #close(state: TurnState): void {
    this.#state = state;
    this.#cancelTimer?.();
    this.#options.onEnd();
  }

  #tell(): void {
    this.#options.publish({
      kind: "turn_state",
      turn: this.turn,
      state: this.#state,
      ttlMs: this.#ttlMs,
    });
  }

  #renewLater(): void {
    const { timers, silentMsMax = SILENT_MS_MAX } = this.#options;
    this.#cancelTimer = timers.setTimer(this.#ttlMs / RENEWALS, () => {
      // Whoever forgot to end it leaves no endless spinner.
      if (timers.now() - this.#activeMs >= silentMsMax) return this.stop("orphaned");
      this.#tell();
      this.#renewLater();
    });
  }
}
