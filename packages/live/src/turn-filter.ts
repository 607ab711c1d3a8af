import type { LiveEvent, TurnState } from "./live-event.ts";
import { hasEnded } from "./turn-book.ts";

/** Turns that a reader is told of once each; beyond that an old one may be told of again. */
const TURNS_MAX = 1_000;

/** Leaves out what a reader knows already of turns: signs of life, and an end that several have told of. */
export class TurnFilter {
  readonly #states: Map<string, TurnState> = new Map();

  /** Whether an event says something new. */
  passes({ payload }: LiveEvent): boolean {
    if (payload.kind !== "turn_state") return true;
    const { turn, state } = payload;
    const known = this.#states.get(turn);
    if (known === state) return false;
    if (known !== undefined && hasEnded(known) && state !== "pending") return false;
    this.#states.delete(turn);
    this.#states.set(turn, state);
    const [oldest] = this.#states.keys();
    if (this.#states.size > TURNS_MAX) this.#states.delete(oldest!);
    return true;
  }
}
