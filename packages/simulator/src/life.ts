import type { Timers } from "@tidemark/wal";
import type { Random } from "./random.ts";
import type { Trace } from "./trace.ts";

/**
 * How a life ends: by itself once everything is closed; the process alone, with the page cache left; or the whole machine,
 * by power loss.
 */
export type Death = "exit" | "kill" | "crash";

/** What a {@link Life} is made of. */
export interface LifeOptions {
  readonly machine: string;
  /** 1 for the first life of a machine. */
  readonly number: number;
  readonly time: Timers;
  readonly trace: Trace;
  readonly random: Random;
}

/**
 * One life of a process on a machine. Everything it does to the world goes through {@link Life.call}, so that it can end at
 * any of these calls.
 *
 * What a process still does after its death reaches nobody: its waiting calls never settle, its timers never fire.
 */
export class Life {
  readonly machine: string;
  readonly number: number;
  /** The process's own measure of time. */
  readonly timers: Timers;
  readonly #options: LifeOptions;
  #alive = true;
  #calls = 0;
  /** The call it ends at, and whether that call still takes effect. */
  #end: { readonly call: number; readonly after: boolean; readonly how: Death } | undefined;
  /** Until when the process was busy in a call that held its thread. */
  #busyUntilMs = 0;
  readonly #listeners: Set<(how: Death) => void> = new Set();

  constructor(options: LifeOptions) {
    this.#options = options;
    this.machine = options.machine;
    this.number = options.number;
    const { time } = options;
    this.timers = {
      now: () => Math.max(time.now(), this.#busyUntilMs),
      setTimer: (ms, run) =>
        time.setTimer(ms, () => {
          if (!this.#alive) return;
          this.call("timer");
          if (this.#alive) run();
        }),
    };
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Calls made so far. */
  get calls(): number {
    return this.#calls;
  }

  /**
   * Counts a call just before it takes effect. Look at {@link Life.alive} afterwards: if it is false the call has none.
   *
   * @param detail - What it is about, and a number that belongs to it, for the trace.
   */
  call(name: string, detail = "", amount = 0): void {
    if (!this.#alive) return;
    this.settle();
    if (!this.#alive) return;
    this.#calls += 1;
    this.#options.trace.note(this.machine, name, detail, amount);
    if (this.#end !== undefined && this.#calls === this.#end.call && !this.#end.after)
      this.die(this.#end.how);
  }

  /** To be called after a call took effect: the life ends here if it was to end right after that call. */
  settle(): void {
    const end = this.#end;
    if (end !== undefined && end.after && this.#calls >= end.call) this.die(end.how);
  }

  /** Lets this life end at a call: 1 is the next. Whether that call takes effect is drawn from the seed unless given. */
  dieAt(
    callsFromNow: number,
    how: Death,
    after: boolean = this.#options.random.fork(`death ${this.#calls}`).chance(0.5),
  ): void {
    if (!(callsFromNow >= 1)) throw new RangeError(`A call from now is 1 or more: ${callsFromNow}`);
    this.#end = { call: this.#calls + callsFromNow, after, how };
  }

  /** Ends this life now. */
  die(how: Death): void {
    if (!this.#alive) return;
    this.#options.trace.note(this.machine, how, `life ${this.number}`, this.#calls);
    this.#alive = false;
    this.#end = undefined;
    for (const listener of [...this.#listeners]) listener(how);
    this.#listeners.clear();
  }

  /** Calls `listener` once, when this life ends. Returns how to stop. */
  onDeath(listener: (how: Death) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /**
   * What somebody outside the process sees of a call to it: settles like the call, or resolves to `undefined` once the
   * process is dead, for then nobody knows what became of it.
   */
  answer<T>(call: Promise<T>): Promise<{ readonly value: T } | undefined> {
    if (!this.#alive) return Promise.resolve(undefined);
    return new Promise((resolve, reject) => {
      const stop = this.onDeath(() => resolve(undefined));
      call.then(
        (value) => {
          stop();
          resolve(this.#alive ? { value } : undefined);
        },
        (error: unknown) => {
          stop();
          if (this.#alive) reject(error);
          else resolve(undefined);
        },
      );
    });
  }

  /** A call held the thread of the process for so long. Only the process's own measure of time shows it. */
  held(ms: number): void {
    this.#busyUntilMs = this.timers.now() + ms;
  }
}
