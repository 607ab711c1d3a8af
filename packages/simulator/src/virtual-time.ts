import type { Timers } from "@tidemark/wal";
import { SimulationError } from "./errors.ts";
import type { Random } from "./random.ts";

/** How long something is waited for. */
export interface UntilOptions {
  /** Virtual milliseconds. @defaultValue 600,000 */
  readonly limitMs?: number;
  /** Steps: something that goes on for ever at one moment is stuck as well. @defaultValue 1,000,000 */
  readonly stepsMax?: number;
  /** What is waited for, for the message. @defaultValue "what was waited for" */
  readonly what?: string;
}

interface Event {
  readonly at: number;
  /** Drawn from the seed: the order of events of one moment. */
  readonly tie: number;
  /** The order they were set in, should two draws be equal. */
  readonly number: number;
  run: (() => void) | undefined;
}

const LIMIT_MS = 600_000;
const STEPS_MAX = 1_000_000;

/**
 * Time that passes only by what is to happen: from one timer to the next.
 *
 * A step is one timer and everything that follows from it before the next one: all promises are drained. Events of one
 * moment come in an order drawn from the seed.
 *
 * @example
 * ```ts
 * const time = new VirtualTime(new Random(1));
 * time.setTimer(86_400_000, () => undefined);
 * await time.step();
 * assert.equal(time.now(), 86_400_000);
 * ```
 */
export class VirtualTime implements Timers {
  readonly #random: Random;
  /** A binary heap: the next event first. */
  readonly #events: Event[] = [];
  #nowMs = 0;
  #set = 0;
  #steps = 0;
  #listeners: readonly (() => void)[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  /** Virtual milliseconds since the beginning. */
  now(): number {
    return this.#nowMs;
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.#steps;
  }

  setTimer(ms: number, run: () => void): () => void {
    if (!Number.isFinite(ms)) throw new RangeError(`A timer needs a number of milliseconds: ${ms}`);
    const event: Event = {
      at: this.#nowMs + Math.max(0, ms),
      tie: this.#random.next(),
      number: this.#set++,
      run,
    };
    this.#push(event);
    return () => {
      event.run = undefined;
    };
  }

  /** A promise that resolves after so many virtual milliseconds. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => void this.setTimer(ms, resolve));
  }

  /** Runs the next event and all that follows from it at once; false if nothing is left. */
  async step(): Promise<boolean> {
    const event = this.#pop();
    if (event === undefined) return false;
    this.#steps += 1;
    this.#nowMs = event.at;
    const { run } = event;
    event.run = undefined;
    run?.();
    await drained();
    for (const listener of this.#listeners) listener();
    return true;
  }

  /** Lets so much virtual time pass. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    await drained();
    while ((this.#next()?.at ?? Number.POSITIVE_INFINITY) <= end) await this.step();
    this.#nowMs = end;
  }

  /**
   * Steps until a promise settles, and settles like it.
   *
   * @throws SimulationError `SIMULATION_STUCK` when nothing is left that could settle it, or a limit has passed.
   */
  async until<T>(promise: Promise<T>, options: UntilOptions = {}): Promise<T> {
    const { limitMs = LIMIT_MS, stepsMax = STEPS_MAX, what = "what was waited for" } = options;
    const endMs = this.#nowMs + limitMs;
    const lastStep = this.#steps + stepsMax;
    let settled = false;
    const settle = (): void => {
      settled = true;
    };
    promise.then(settle, settle);
    await drained();
    while (!settled) {
      if ((this.#next()?.at ?? 0) > endMs)
        throw stuck(`Cannot wait on for ${what}: ${limitMs} ms have passed`);
      if (this.#steps >= lastStep) throw stuck(`Cannot wait on for ${what}: ${stepsMax} steps were taken`);
      if (!(await this.step())) throw stuck(`Cannot wait for ${what}: nothing is left that could happen`);
    }
    return promise;
  }

  /** Calls `listener` after each step, once all promises are drained. What it throws ends the step. Returns how to stop. */
  afterStep(listener: () => void): () => void {
    this.#listeners = [...this.#listeners, listener];
    return () => {
      this.#listeners = this.#listeners.filter((other) => other !== listener);
    };
  }

  /** The next event that was not taken back. */
  #next(): Event | undefined {
    while (this.#events[0] !== undefined && this.#events[0].run === undefined) this.#remove();
    return this.#events[0];
  }

  #pop(): Event | undefined {
    const next = this.#next();
    if (next !== undefined) this.#remove();
    return next;
  }

  #push(event: Event): void {
    const events = this.#events;
    let at = events.length;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = events[parent] as Event;
      if (!isBefore(event, above)) break;
      events[at] = above;
      at = parent;
    }
    events[at] = event;
  }

  /** Takes the first event away. */
  #remove(): void {
    const events = this.#events;
    const last = events.pop() as Event;
    if (events.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && isBefore(events[child + 1] as Event, events[child] as Event))
        child += 1;
      if (!isBefore(events[child] as Event, last)) break;
      events[at] = events[child] as Event;
      at = child;
    }
    events[at] = last;
  }
}

/** Resolves once every promise that can settle now has settled: the one real turn of the event loop that is taken. */
function drained(): Promise<void> {
  // oxlint-disable-next-line no-restricted-globals -- Nothing else tells that no promise is left that could settle.
  return new Promise((resolve) => void setImmediate(resolve));
}

function isBefore(one: Event, other: Event): boolean {
  if (one.at !== other.at) return one.at < other.at;
  if (one.tie !== other.tie) return one.tie < other.tie;
  return one.number < other.number;
}

function stuck(message: string): SimulationError {
  return new SimulationError("SIMULATION_STUCK", message);
}
