import { seededRandom } from "./random.ts";

/** What happens to frames on a link, as shares from 0 to 1. */
export interface LinkFaults {
  /** Frames that never arrive. */
  readonly lossRate: number;
  /** Frames that arrive twice. */
  readonly duplicateRate: number;
  /** Frames that the next one on the same link and subject overtakes. */
  readonly reorderRate: number;
}

/** How a link is when nothing was done to it. */
export interface LinkDefaults extends LinkFaults {
  readonly latencyMs: number;
}

/** Counts of a network, grown by its links. */
export interface LinkCounts {
  sent: number;
  lost: number;
  duplicated: number;
  reordered: number;
  overflowed: number;
}

/** What a link needs of its network. */
export interface LinkOptions {
  readonly seed: number;
  readonly defaults: LinkDefaults;
  readonly counts: LinkCounts;
  /** The bound of frames in flight on a subject. */
  readonly framesMaxOf: (subject: string) => number;
  readonly setTimer: (ms: number, run: () => void) => () => void;
}

/** Runs at the other end. It copies the bytes before it returns, as they are borrowed. */
export type Arrive = (frame: Uint8Array) => void;

/** Frames in flight on one subject. Kept apart, so that subjects never wait for each other. */
interface Pipe {
  readonly arrivals: (() => void)[];
  readonly timers: Set<() => void>;
  /** The frame that waits to be overtaken. */
  held: (() => void) | undefined;
}

/** One direction between two endpoints. */
export class Link {
  cut: boolean = false;
  latencyMs: number;
  faults: LinkFaults;
  readonly #options: LinkOptions;
  readonly #random: () => number;
  readonly #pipes: Map<string, Pipe> = new Map();

  constructor(options: LinkOptions) {
    this.#options = options;
    this.latencyMs = options.defaults.latencyMs;
    this.faults = options.defaults;
    this.#random = seededRandom(options.seed);
  }

  /** Takes a frame; `arrive` runs at once without latency, else later, twice or never. */
  carry(subject: string, frame: Uint8Array, arrive: Arrive): void {
    const { counts } = this.#options;
    counts.sent += 1;
    if (this.cut) {
      counts.lost += 1;
      return;
    }
    const { lossRate, duplicateRate, reorderRate } = this.faults;
    // Three draws a frame whatever the rates are: changing one rate shifts no other decision.
    const lost = this.#random() < lossRate;
    const doubled = this.#random() < duplicateRate;
    const overtaken = this.#random() < reorderRate;
    if (lost) {
      counts.lost += 1;
      return;
    }
    if (doubled) counts.duplicated += 1;
    const idle = this.#pipes.get(subject) === undefined;
    if (idle && this.latencyMs <= 0 && !overtaken) {
      arrive(frame);
      if (doubled) arrive(frame);
      return;
    }
    const pipe = this.#pipeOf(subject);
    const { held } = pipe;
    if (overtaken && held === undefined) {
      counts.reordered += 1;
      const bytes = new Uint8Array(frame);
      this.#hold(subject, pipe, () => this.#send(subject, pipe, bytes, arrive, doubled));
      return;
    }
    this.#send(subject, pipe, frame, arrive, doubled);
    held?.();
  }

  /** Loses what is in flight. */
  clear(): void {
    for (const { arrivals, timers, held } of this.#pipes.values()) {
      this.#options.counts.lost += arrivals.length + (held === undefined ? 0 : 1);
      for (const cancel of timers) cancel();
    }
    this.#pipes.clear();
  }

  /** Whether something was done to it. */
  get touched(): boolean {
    const { defaults } = this.#options;
    return this.cut || this.latencyMs !== defaults.latencyMs || this.faults !== defaults;
  }

  /** Back to how it was at first; frames in flight stay. */
  heal(): void {
    this.cut = false;
    this.latencyMs = this.#options.defaults.latencyMs;
    this.faults = this.#options.defaults;
  }

  #send(subject: string, pipe: Pipe, frame: Uint8Array, arrive: Arrive, again: boolean): void {
    if (this.latencyMs <= 0 && pipe.arrivals.length === 0) {
      arrive(frame);
    } else if (pipe.arrivals.length >= this.#options.framesMaxOf(subject)) {
      this.#options.counts.overflowed += 1;
    } else {
      // Custody: the bytes are the publisher's again at once.
      const bytes = new Uint8Array(frame);
      pipe.arrivals.push(() => arrive(bytes));
      // Whichever timer runs, the oldest frame arrives: a link that becomes faster reorders nothing.
      this.#after(subject, pipe, this.latencyMs, () => pipe.arrivals.shift()?.());
    }
    if (again) this.#send(subject, pipe, frame, arrive, false);
  }

  /** Holds a frame until the next one passes, or as long as one more millisecond of latency. */
  #hold(subject: string, pipe: Pipe, release: () => void): void {
    const once = (): void => {
      if (pipe.held !== once) return;
      pipe.held = undefined;
      release();
    };
    pipe.held = once;
    this.#after(subject, pipe, this.latencyMs + 1, once);
  }

  #after(subject: string, pipe: Pipe, ms: number, run: () => void): void {
    const cancel = this.#options.setTimer(ms, () => {
      pipe.timers.delete(cancel);
      run();
      // Subjects come and go; what is kept for one goes with its last frame.
      if (pipe.timers.size === 0 && this.#pipes.get(subject) === pipe) this.#pipes.delete(subject);
    });
    pipe.timers.add(cancel);
  }

  #pipeOf(subject: string): Pipe {
    let pipe = this.#pipes.get(subject);
    if (pipe === undefined) {
      pipe = { arrivals: [], timers: new Set(), held: undefined };
      this.#pipes.set(subject, pipe);
    }
    return pipe;
  }
}
