/** What a handle knows of the clock of a buffer: it was this, at some time between two of ours. */
interface Known {
  readonly incarnation: string;
  readonly clock: number;
  readonly sentMs: number;
  readonly heardMs: number;
}

/** Buffers that are remembered; of those used longest ago nothing is known any more. */
const KNOWN_MAX = 10_000;

/** What a handle knows of the clocks of buffers, so that a server whose clock is set does not age events. */
export class BufferClocks {
  readonly #monotonicMs: () => number;
  readonly #known: Map<string, Known> = new Map();

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Our time, whole milliseconds. */
  nowMs(): number {
    return Math.floor(this.#monotonicMs());
  }

  /** As scripts take it: which incarnation, and what its clock must be at least and at most; empty if nothing is known. */
  boundsOf(session: string): readonly [incarnation: string, atLeast: string, atMost: string] {
    const known = this.#known.get(session);
    if (known === undefined) return ["", "", ""];
    const { incarnation, clock, sentMs, heardMs } = known;
    const now = this.nowMs();
    return [incarnation, `${clock + now - heardMs}`, `${clock + now - sentMs}`];
  }

  /** An answer to what was sent at a time of ours, heard now. */
  learn(session: string, incarnation: string, clock: number, sentMs: number): void {
    this.#known.delete(session);
    this.#known.set(session, { incarnation, clock, sentMs, heardMs: this.nowMs() });
    const [oldest] = this.#known.keys();
    if (this.#known.size > KNOWN_MAX && oldest !== undefined) this.#known.delete(oldest);
  }

  forget(session: string): void {
    this.#known.delete(session);
  }
}
