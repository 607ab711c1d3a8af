import type { LiveMessage } from "./message.ts";

/** What is known of a session's buffer, by its last message. */
export interface SessionState {
  readonly incarnation: string;
  /** Of the last message, in the stream. */
  readonly sequence: number;
  /** The number of the last event, 0 before the first. */
  readonly tail: number;
  /** The buffer's clock when the last message was written. */
  readonly writtenMs: number;
  readonly revision: number | undefined;
  readonly committed: string | undefined;
}

interface Remembered {
  readonly state: SessionState;
  /** The buffer's clock at a time of ours. */
  readonly clock: number;
  readonly atMs: number;
  /** Below it nothing can be replayed, whatever a clock says later. */
  readonly first: number;
}

/** Sessions that are remembered; of those used longest ago nothing is known any more. */
const REMEMBERED_MAX = 10_000;

/**
 * What a handle knows of sessions: where they were, and what their clocks show. A buffer's clock goes on by ours, which nobody
 * sets; only for a session that is met for the first time the clocks on the wall are compared.
 */
export class SessionMemory {
  readonly #monotonicMs: () => number;
  readonly #wallMs: () => number;
  readonly #remembered: Map<string, Remembered> = new Map();

  constructor(monotonicMs: () => number, wallMs: () => number) {
    this.#monotonicMs = monotonicMs;
    this.#wallMs = wallMs;
  }

  /** Where the session was when it was last heard of. */
  get(session: string): SessionState | undefined {
    return this.#remembered.get(session)?.state;
  }

  forget(session: string): void {
    this.#remembered.delete(session);
  }

  /** A message of ours was stored, or the last one was read, which the server stamped at a time of its clock. */
  learn(session: string, state: SessionState, stampedMs?: number): void {
    const known = this.#remembered.get(session);
    const same = known?.state.incarnation === state.incarnation ? known : undefined;
    const atMs = Math.floor(this.#monotonicMs());
    const elsewhere = stampedMs === undefined ? 0 : Math.max(0, this.#wallMs() - stampedMs);
    const clock = same === undefined ? state.writtenMs + elsewhere : same.clock + atMs - same.atMs;
    this.#remembered.delete(session);
    const remembered = { state, clock: Math.max(clock, state.writtenMs), atMs, first: same?.first ?? 1 };
    this.#remembered.set(session, remembered);
    const [oldest] = this.#remembered.keys();
    if (this.#remembered.size > REMEMBERED_MAX && oldest !== undefined) this.#remembered.delete(oldest);
  }

  /** What the clock of a session's buffer shows now; 0 for one that is not known. */
  clockOf(session: string): number {
    const known = this.#remembered.get(session);
    return known === undefined ? 0 : known.clock + Math.floor(this.#monotonicMs()) - known.atMs;
  }

  /** The first event that can be replayed of messages that are all there are: by count, by age, and never back. */
  firstOf(
    session: string,
    messages: readonly LiveMessage[],
    bounds: { eventsMax: number; ageMsMax: number },
  ): number {
    const known = this.#remembered.get(session);
    if (known === undefined) return 1;
    const { tail } = known.state;
    const clock = this.clockOf(session);
    const young = messages.find(
      ({ clock: writtenMs, events }) => events.length > 0 && clock - writtenMs <= bounds.ageMsMax,
    );
    const first = Math.max(known.first, tail - bounds.eventsMax + 1, young?.position ?? tail + 1);
    this.#remembered.set(session, { ...known, first });
    return first;
  }
}
