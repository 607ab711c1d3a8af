/** What a {@link SimClock} goes by. */
export interface SimClockOptions {
  /** Virtual milliseconds. */
  readonly now: () => number;
  /** The wall clock at the beginning of the run, Unix milliseconds. */
  readonly baseMs: number;
  /** How far ahead of that this machine is, in milliseconds; negative for behind. @defaultValue 0 */
  readonly skewMs?: number;
}

/** The wall clock of one machine: it may be off, jump, stand still, and run too fast or too slow. */
export class SimClock {
  readonly #options: SimClockOptions;
  /** The reading at a moment of virtual time, and how much it grows for each virtual millisecond since. */
  #anchorMs: number;
  #readingMs: number;
  #rate = 1;
  #frozen = false;

  constructor(options: SimClockOptions) {
    this.#options = options;
    this.#anchorMs = options.now();
    this.#readingMs = options.baseMs + this.#anchorMs + (options.skewMs ?? 0);
  }

  /** What the machine reads: whole Unix milliseconds. */
  now(): number {
    return Math.floor(this.#reading());
  }

  /** How far ahead of the true time the clock is, in milliseconds. */
  get offMs(): number {
    return this.#reading() - this.#options.baseMs - this.#options.now();
  }

  /** Puts the clock forward, or back. */
  jump(ms: number): void {
    this.#anchor();
    this.#readingMs += ms;
  }

  /** Stops the clock. */
  freeze(): void {
    this.#anchor();
    this.#frozen = true;
  }

  /** Lets it go on from where it stood. */
  thaw(): void {
    this.#anchor();
    this.#frozen = false;
  }

  /** Lets it run so many times as fast as time passes. */
  drift(rate: number): void {
    if (!(rate > 0 && rate < 1_000)) throw new RangeError(`A clock runs forwards: ${rate}`);
    this.#anchor();
    this.#rate = rate;
  }

  /** Puts it right: it runs with time, and shows the true time. */
  adjust(): void {
    this.#rate = 1;
    this.#frozen = false;
    this.#anchorMs = this.#options.now();
    this.#readingMs = this.#options.baseMs + this.#anchorMs;
  }

  #reading(): number {
    if (this.#frozen) return this.#readingMs;
    return this.#readingMs + (this.#options.now() - this.#anchorMs) * this.#rate;
  }

  #anchor(): void {
    this.#readingMs = this.#reading();
    this.#anchorMs = this.#options.now();
  }
}
